/**
 * Type-checks every TypeScript code block of the documentation. A block that is no whole module is marked
 * ` ```ts fragment ` and skipped; no other marker exists. Each block is compiled on its own, beside the README's app as
 * `app.ts`. Links between pages, paths of the repository and names of its files have to exist.
 */
import { spawnSync } from "node:child_process"
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { packages, root } from "./internal/workspace.ts"

const sources = globSync("{packages,examples,benchmarks,scripts}/**/*.ts", {
  cwd: root,
  exclude: ["**/node_modules", "**/dist"]
})

const folder = join(root, "build/docs")
const pages = ["README.md", ...globSync("docs/*.md", { cwd: root }), ...globSync("packages/*/README.md", { cwd: root })]

interface Block {
  readonly page: string
  readonly line: number
  readonly info: string
  readonly text: string
}

const blocksOf = (page: string): ReadonlyArray<Block> => {
  const text = readFileSync(join(root, page), "utf8")
  return [...text.matchAll(/^```(ts|typescript)\b(.*)\n([^]*?)^```/gmu)].map((
    { 1: language, 2: rest, 3: code, index }
  ) => ({
    page,
    line: text.slice(0, index).split("\n").length + 1,
    info: `${language}${rest}`,
    text: code ?? ""
  }))
}

const blocks = pages.flatMap(blocksOf)
const unknown = blocks.filter(({ info }) => info !== "ts" && info !== "ts fragment")
for (const { info, line, page } of unknown) console.error(`docs: ${page}:${line} has the unknown marker "${info}"`)

/** Pages whose links are checked; the blocks of the tutorial are files of one app, which `npm run tutorial` compiles. */
const guides = [
  ...globSync("docs/tutorial/*.md", { cwd: root }),
  "AGENTS.md",
  "CONTRIBUTING.md",
  "DESIGN.md",
  "REVIEW.md",
  "SECURITY.md",
  "benchmarks/README.md"
]
const missing = [...pages, ...guides].flatMap((page) => {
  const text = readFileSync(join(root, page), "utf8")
  const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/gu)].map(({ 1: link = "" }) => join(dirname(page), link))
  const paths = [...text.matchAll(/`((?:packages|examples|scripts|docs)\/[\w./-]+)`/gu)].map(({ 1: path = "" }) => path)
  // The files of the tutorial are the reader's own.
  const names = page.startsWith("docs/tutorial/")
    ? []
    : [...text.matchAll(/`(\w[\w/-]*(?:\.\w+)*\.ts)`/gu)].map(({ 1: name = "" }) => name)
  const isMissing = (name: string) =>
    !sources.some((file) => file.endsWith(`/${name}`)) && !existsSync(join(root, name))
  return [...[...links, ...paths].filter((path) => !existsSync(join(root, path))), ...names.filter(isMissing)].map((
    path
  ) => `${page}: ${path}`)
})
for (const path of missing) console.error(`docs: ${path} does not exist`)

const checked = blocks.filter(({ info }) => info === "ts")
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

/** The file of a block names its page; empty lines in front keep the line numbers of the page. */
const places = new Map(checked.map((block) => {
  const file = `${block.page.replaceAll("/", "-").replace(/\.md$/u, "")}-${block.line}.ts`
  writeFileSync(join(folder, file), `${"\n".repeat(block.line - 1)}${block.text}\nexport {}\n`)
  return [file, block.page]
}))
const app = checked.find(({ page, text }) => page === "README.md" && text.includes("export default"))
writeFileSync(join(folder, "app.ts"), app?.text ?? "")
writeFileSync(
  join(folder, "tsconfig.json"),
  JSON.stringify({
    extends: "../../tsconfig.tests.json",
    compilerOptions: { tsBuildInfoFile: "../../node_modules/.cache/docs.tsbuildinfo", noUnusedLocals: false },
    include: ["*.ts"],
    exclude: [],
    references: packages().map((workspace) => ({ path: `../../${workspace.folder}` }))
  })
)

const { status, stdout } = spawnSync("tsc", ["-p", folder, "--pretty", "false"], { cwd: folder, encoding: "utf8" })
console.log(
  stdout.replace(/^(?:\.\.\/)*(?:build\/docs\/)?([\w-]+-\d+\.ts)/gmu, (_, file) => places.get(basename(file)) ?? file)
)

if (status !== 0 || unknown.length + missing.length > 0) process.exitCode = 1
else console.log(`docs: ${checked.length} blocks compile, ${blocks.length - checked.length} fragments are skipped`)
