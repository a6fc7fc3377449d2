// The templates of `fastagentic new`: folders of plain files beside the code. `write` makes an app of one; its folder appears
// whole or not at all, and no file that is there is changed.
import { Effect, Schema } from "effect"
import { existsSync } from "node:fs"
import { cp, mkdtemp, readdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import manifest from "../../package.json" with { type: "json" }
import * as ErrorText from "../ErrorText.ts"

export const names = [
  "effect",
  "mcp-tools",
  "multi-agent",
  "ai-sdk",
  "langchain",
  "langgraph",
  "mastra",
  "openai-agents",
  "pydanticai",
  "crewai"
] as const

export type Name = typeof names[number]

export const descriptions: Record<Name, string> = {
  effect: "an agent whose model calls a tool",
  "mcp-tools": "tools, a resource and a prompt for MCP clients",
  "multi-agent": "an agent that delegates to two others",
  "ai-sdk": "an agent of the Vercel AI SDK",
  langchain: "an agent of LangChain",
  langgraph: "a graph of LangGraph",
  mastra: "an agent of Mastra",
  "openai-agents": "an agent of the OpenAI Agents SDK",
  pydanticai: "an agent written in Python with PydanticAI",
  crewai: "an agent written in Python with CrewAI"
}

export class NotWritten extends Schema.TaggedError<NotWritten>()("NotWritten", {
  folder: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.folder}: ${this.problem}`
  }
}

/** The packages without a scope that apps of the templates depend on. */
export const dependencies: ReadonlySet<string> = new Set([
  "ai",
  "effect",
  "fastagentic",
  "langchain",
  "typescript",
  "vitest",
  "zod"
])

/** The folder of files that templates of one kind have beside those of all templates. */
const shared: Partial<Record<Name, string>> = {
  "ai-sdk": "common-ai-sdk",
  mastra: "common-ai-sdk",
  langchain: "common-langchain",
  langgraph: "common-langchain",
  pydanticai: "common-python",
  crewai: "common-python"
}

/** Later folders replace the files of earlier ones. */
const partsOf = (template: Name) => ["common", ...(shared[template] === undefined ? [] : [shared[template]]), template]

const folder = fileURLToPath(new URL("../../templates/", import.meta.url))

/** The words that stand for the name and the versions of this package and of what it goes with. */
const wordsOf = (name: string): Record<string, string> => ({
  __name__: name,
  __fastagentic__: manifest.version,
  __effect__: manifest.peerDependencies.effect,
  __effect_vitest__: manifest.peerDependencies["@effect/vitest"],
  __vitest__: manifest.peerDependencies.vitest
})

/** npm leaves files out whose names begin with a dot, so that they have another beginning in the package. */
const nameOf = (file: string) => file.replace(/^dot-/u, ".")

const fill = async (target: string, words: Record<string, string>): Promise<number> => {
  let files = 0
  for (const entry of await readdir(target, { withFileTypes: true })) {
    const path = join(target, nameOf(entry.name))
    if (path !== join(target, entry.name)) await rename(join(target, entry.name), path)
    if (entry.isDirectory()) {
      files += await fill(path, words)
      continue
    }
    const text = await readFile(path, "utf8")
    await writeFile(path, text.replaceAll(/__[a-z_]+?__/gu, (word) => words[word] ?? word))
    files++
  }
  return files
}

const Dependencies = Schema.fromJsonString(Schema.Record(Schema.String, Schema.String))
const Manifest = Schema.fromJsonString(
  Schema.StructWithRest(Schema.Struct({ dependencies: Schema.Record(Schema.String, Schema.String) }), [
    Schema.Record(Schema.String, Schema.Json)
  ])
)

/** Adds the packages of a template's framework, `dependencies.json`, to those that every app has. */
const addDependencies = async (target: string) => {
  const [more, manifest] = [join(target, "dependencies.json"), join(target, "package.json")]
  if (!existsSync(more)) return
  const { dependencies, ...rest } = Schema.decodeSync(Manifest)(await readFile(manifest, "utf8"))
  const all = { ...dependencies, ...Schema.decodeSync(Dependencies)(await readFile(more, "utf8")) }
  const sorted = Object.fromEntries(Object.entries(all).toSorted(([one], [other]) => one.localeCompare(other)))
  const ordered = Object.fromEntries(
    Object.entries({ ...rest, dependencies: sorted }).toSorted(([one], [other]) => order(one) - order(other))
  )
  await writeFile(manifest, `${JSON.stringify(ordered, undefined, 2)}\n`)
  await rm(more)
}

/** The packages of an app come before those of its development. */
const order = (field: string) => field === "dependencies" ? 1 : field === "devDependencies" ? 2 : 0

const isTaken = (cause: unknown) =>
  cause instanceof Error && "code" in cause && ["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(String(cause.code))

/** A folder beside the target until it is complete; a process that is killed leaves it, and never a half of the target. */
const draftOf = (target: string) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => mkdtemp(join(dirname(target), `.${basename(target)}-`)),
      catch: notWritten(target)
    }),
    (draft) => Effect.promise(() => rm(draft, { recursive: true, force: true }))
  )

/** Writes the files of a template to a folder of this name, and gives their number. */
export const write = (template: Name, name: string): Effect.Effect<number, NotWritten> =>
  Effect.gen(function*() {
    const draft = yield* draftOf(name)
    return yield* Effect.tryPromise({
      try: async () => {
        for (const part of partsOf(template)) await cp(join(folder, part), join(draft, name), { recursive: true })
        await addDependencies(join(draft, name))
        const files = await fill(join(draft, name), wordsOf(name))
        // An empty folder may be there; only an empty one can be removed or replaced.
        await rmdir(name).catch((cause: unknown) => {
          if (!(cause instanceof Error && "code" in cause && cause.code === "ENOENT")) throw cause
        })
        await rename(join(draft, name), name)
        return files
      },
      catch: notWritten(name)
    })
  }).pipe(Effect.scoped)

const notWritten = (name: string) => (cause: unknown) =>
  new NotWritten({
    folder: name,
    problem: isTaken(cause)
      ? "is there already and is not empty; choose another name, or remove it"
      : `cannot be written: ${ErrorText.of(cause)}`
  })
