/**
 * Writes docs/reference.md from the code: routes, events, errors, variables and flags; and llms.txt, the list of pages for
 * coding agents. With `--check` it fails when one of them is not what the code says.
 */
import { Event, RunError } from "@fastagentic/core"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { globSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
// The package exports neither: these two are what the page is written from.
/* oxlint-disable no-restricted-imports */
import { helpPages } from "../packages/cli/src/Cli.ts"
import { descriptions } from "../packages/cli/src/internal/variables.ts"
/* oxlint-enable no-restricted-imports */
import { root } from "./internal/workspace.ts"

const exported = () =>
  execFileSync(
    process.execPath,
    [join(root, "packages/cli/src/bin.ts"), "export", "openapi", "--app", "examples/00-hello/app.ts", "--json"],
    { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }
  )

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((row) =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
  )
    .join("\n")

const code = (text: string) => `\`${text}\``

interface Operation {
  readonly summary?: string
  readonly tags?: ReadonlyArray<string>
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

/** The routes of the example app; the names of its declarations become `{id}`. */
const routes = (): string => {
  const document: Document = JSON.parse(exported())
  const rows = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { summary = "" }]) => [
      code(
        `${method.toUpperCase()} ${
          path.replace("/agents/support", "/agents/{id}").replace("/tools/find_order", "/tools/{name}")
        }`
      ),
      summary.replace("Answers questions about orders", "Run the agent").replace(
        "Find one order by its id",
        "Call the tool"
      )
    ])
  )
  return table(["route", "does"], rows)
}

const fieldsOf = (schema: unknown): string =>
  typeof schema === "object" || typeof schema === "function"
    ? Object.keys(schema !== null && "fields" in schema ? Object(schema.fields) : {}).filter((name) => name !== "_tag")
      .map(code)
      .join(", ")
    : ""

const events = (): string =>
  table(["event", "data"], Object.entries(Event.schemas).map(([type, schema]) => [code(type), fieldsOf(schema)]))

const errors = (): string => {
  const rows = Object.entries(RunError).flatMap(([name, value]) => {
    const annotations: unknown = typeof value === "function" && "ast" in value
      ? Object(value.ast).annotations
      : undefined
    const status: unknown = Object(annotations).httpApiStatus
    return typeof status === "number" ? [[code(name), String(status), fieldsOf(value)]] : []
  })
  return table(["error", "status", "fields"], rows)
}

const variables = (): string =>
  table(["variable", "is"], Object.entries(descriptions).map(([name, is]) => [code(name), is]))

/** The arguments and flags of each command: its help without the flags of all commands. */
const flags = async (): Promise<string> => {
  const pages = Object.entries(await Effect.runPromise(helpPages(false)))
  const commands = pages.filter(([words, help]) => words !== "" && !help.includes("\nSUBCOMMANDS"))
  return commands.map(([words, help]) => {
    const shown = /^(?:ARGUMENTS|FLAGS)\n[^]*?(?=\n\nGLOBAL FLAGS)/mu.exec(help)?.[0] ?? ""
    return `### fastagentic ${words}\n\n\`\`\`text\n${shown.trimEnd()}\n\`\`\``
  }).join("\n\n")
}

const reference = [
  "# Reference",
  "This page is written from the code by `npm run reference`.",
  "## Routes\n\nThe routes of an app with an agent and a tool. `/docs` of a server has those of its app, with every schema.",
  routes(),
  "## Events\n\nThe events of a journal and the fields of their data. Each has `runId`, `seq`, `ts`, `attempt`, `type` and `data` as well.",
  events(),
  "## Errors\n\nThe errors of the runtime, with the HTTP status that they have on REST. Agents declare their own beside them.",
  errors(),
  "## Variables\n\nThe variables of the environment that commands, stores and models read.",
  variables(),
  "## Flags",
  await flags()
].join("\n\n")

/** A page as a line: its title, its address, and its first sentence. */
const pageLine = (page: string): string => {
  const [, title = page, text = ""] = /^# (.+)\n\n?([^]*?)(?:\n\n|$)/u.exec(readFileSync(join(root, page), "utf8")) ??
    []
  const sentence = /^[^]*?\.(?=\s|$)/u.exec(text.replaceAll(/\s+/gu, " "))?.[0] ?? ""
  return `- [${title}](${page})${sentence === "" ? "" : `: ${sentence.replaceAll(/\[([^\]]+)\]\([^)]+\)/gu, "$1")}`}`
}

const llms = [
  "# FastAgentic",
  "> FastAgentic turns agents into a production service: declare an agent once as a Schema-typed value of Effect 4, and it is served over REST with OpenAPI, SSE, WebSocket, MCP and A2A, with durable runs, approvals, policy and telemetry. The package is `fastagentic`.",
  "## Tutorial",
  globSync("docs/tutorial/*.md", { cwd: root }).sort().map(pageLine).join("\n"),
  "## Guides",
  ["README.md", ...globSync("docs/*.md", { cwd: root }).sort()].map(pageLine).join("\n")
].join("\n\n")

const files = { "docs/reference.md": `${reference}\n`, "llms.txt": `${llms}\n` }
for (const [file, text] of Object.entries(files)) {
  const path = join(root, file)
  if (!process.argv.includes("--check")) writeFileSync(path, text)
  else if (readFileSync(path, "utf8") !== text) {
    console.error(`reference: ${file} is not what the code says: npm run reference`)
    process.exitCode = 1
  }
}
