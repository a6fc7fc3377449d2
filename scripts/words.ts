/**
 * Refuses comments that begin with a free relative or an indefinite pronoun as their subject (What, Who, Nobody, …): a
 * reader has to read them twice. Refuses names that the field's terms replaced. Internal files have to begin with a `//`
 * comment that states their job.
 */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./internal/workspace.ts"

const subject = /(?:^\s*(?:\/\*\*|\*|\/\/)|\s\/\/)\s+(?:What|Who|Whom|Whose|Whoever|Whatever|Nobody|Where)\b/u

/** Names that the field's terms replaced; CHANGELOG may keep them. */
const replaced =
  /\b(?:journalOf|lookOut|lookAround|letGoOn|makeDrive|attend|patience|tidy|BoundHook|ownTime|isTold|Discretion|Goodbye|stayHome|OpenToTheWorld|AskedClients|WaitingCalls|PATIENCE|patiently|jsonForm|genAi|tracedPoints|noPast|readPast|outlet|outletOf)\b/u

/** Matches the first line of a comment that begins with a preposition: its subject comes last. */
const preposition = /^\s*(?:\/\*\*|\/\/) (?:Of|For|To|In|With|Without|Under|Until|Between|From|At) /u

const followsComment = (lines: ReadonlyArray<string>, index: number) => /^\s*\/\//u.test(lines[index - 1] ?? "")

const files = globSync([
  "packages/*/{src,test,typetest}/**/*.ts",
  "examples/**/*.ts",
  "benchmarks/**/*.ts",
  "scripts/**/*.ts"
], { cwd: root, exclude: ["**/node_modules", "**/dist"] })

const findings = files.flatMap((file) => {
  const lines = readFileSync(join(root, file), "utf8").split("\n")
  const isInternal = file.split("/").includes("internal")
  const isSource = file.includes("/src/")
  return [
    ...(isInternal && !lines[0]?.startsWith("// ") ? [`${file}: does not begin with a // comment`] : []),
    ...lines.flatMap((line, index) => {
      const old = replaced.exec(line)
      return old === null || file === "scripts/words.ts" ? [] : [`${file}:${index + 1}: "${old[0]}" was replaced`]
    }),
    ...lines.flatMap((line, index) =>
      subject.test(line) || (isSource && preposition.test(line) && !followsComment(lines, index))
        ? [`${file}:${index + 1}: ${line.trim()}`]
        : []
    )
  ]
})

for (const finding of findings) console.error(`words: ${finding}`)
if (findings.length > 0) process.exitCode = 1
else console.log(`words: ${files.length} files`)
