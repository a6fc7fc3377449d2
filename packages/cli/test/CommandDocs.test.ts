import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { command } from "./process.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const page = (path: string) => readFileSync(join(root, path), "utf8")

const helps = new Map<string, Promise<string>>()

const help = (path: ReadonlyArray<string>) => {
  const name = path.join(" ")
  const known = helps.get(name) ?? command([...path, "--help"]).then(({ code, stdout }) => {
    assert.strictEqual(code, 0, name)
    return stdout
  })
  helps.set(name, known)
  return known
}

const subcommandsOf = async (...path: ReadonlyArray<string>) => {
  const [, listed = ""] = /SUBCOMMANDS\n([^]*?)(?:\n\n|$)/u.exec(await help(path)) ?? []
  return [...listed.matchAll(/^ {2}([a-z0-9]+)/gmu)].map(([, name = ""]) => name)
}

const flagsOf = async (name: string) => {
  const [, listed = ""] = /\nFLAGS\n([^]*?)\n\n/u.exec(await help(name.split(" "))) ?? []
  return [...listed.matchAll(/^ {2}(--[a-z-]+)/gmu)].map(([, flag = ""]) => flag)
}

const commands = async () => {
  const names: Array<string> = []
  for (const name of await subcommandsOf()) {
    const nested = await subcommandsOf(name)
    names.push(...(nested.length === 0 ? [name] : nested.map((one) => `${name} ${one}`)))
  }
  return names
}

/** The rows of the table of commands: their names, and the page that says more. */
const rowsOf = () => {
  const [, table = ""] = /\| command \| does \| more \|\n([^]*?)\n\n/u.exec(page("docs/cli.md")) ?? []
  return table.split("\n").slice(1).map((row) => {
    const [, listed = "", , more = ""] = row.split("|")
    const [first = "", ...others] = [...listed.matchAll(/`([^`]+)`/gu)].map(([, name = ""]) =>
      name.replace(/ [<[].*$/u, "")
    )
    // `runs list`, `get`: the names after the first one belong to its command.
    const [head = "", sub] = first.split(" ")
    const [, target = "cli.md"] = /\(([^)#]+)/u.exec(more) ?? []
    return {
      names: sub === undefined ? [first, ...others] : [first, ...others.map((other) => `${head} ${other}`)],
      page: join("docs", target)
    }
  })
}

/** The flags of all commands that ask a server or print data: the page names them once. */
const common: ReadonlySet<string> = new Set(["--url", "--token", "--json"])

describe("the documentation of the command line", () => {
  it("docs/cli.md has every command and subcommand in a row, and no other", async () => {
    const names = await commands()
    assert.includeMembers(names, ["new", "run", "audit verify", "runs fork"])
    assert.deepStrictEqual(rowsOf().flatMap((row) => row.names).sort(), names.sort())
  })

  it("the lists of the READMEs name every command", async () => {
    const names = await subcommandsOf()
    const [, other = ""] = /^Other commands: ([^;]*);/mu.exec(page("README.md")) ?? []
    const listed = (text: string) => [...text.matchAll(/`(?:fastagentic )?([a-z]+)`/gu)].map(([, name = ""]) => name)
    assert.deepStrictEqual(["run", ...listed(other)].sort(), [...names].sort())
    const [, all = ""] = /^Commands: ([^.]*)\./mu.exec(page("packages/cli/README.md")) ?? []
    assert.deepStrictEqual(listed(all).sort(), [...names].sort())
  })

  it("the page of each command names every flag of it", async () => {
    const missing: Array<string> = []
    for (const row of rowsOf()) {
      const text = page(row.page)
      for (const name of row.names) {
        for (const flag of await flagsOf(name)) {
          const isNamed = new RegExp(`${flag}(?![a-z-])`, "u").test(text) ||
            text.includes(flag.replace("--", "--no-"))
          // `dev` has the flags of `run`, and its page says so.
          const isOfRun = name === "dev" && (await flagsOf("run")).includes(flag)
          if (!common.has(flag) && !isNamed && !isOfRun) missing.push(`${row.page}: ${name} ${flag}`)
        }
      }
    }
    assert.deepStrictEqual(missing, [])
    for (const flag of common) assert.include(page("docs/cli.md"), flag)
  })

  it("every call of a command in the pages has flags that the command knows", async () => {
    const names = await commands()
    const pages = ["README.md", ...readdirSync(join(root, "docs")).map((file) => join("docs", file))]
      .filter((path) => path.endsWith(".md"))
    const unknown: Array<string> = []
    let calls = 0
    for (const path of pages) {
      for (const [, call = ""] of page(path).matchAll(/fastagentic ([a-z0-9][^`\n#|]*)/gu)) {
        const name = names.find((one) => call === one || call.startsWith(`${one} `))
        if (name === undefined) continue
        calls++
        const known = await flagsOf(name)
        for (const [flag] of call.matchAll(/(?<![^\s[|])--[a-z-]+/gu)) {
          const isKnown = known.includes(flag) || known.includes(flag.replace("--no-", "--"))
          if (!isKnown && flag !== "--help") unknown.push(`${path}: ${name} ${flag}`)
        }
      }
    }
    assert.isAbove(calls, 30)
    assert.deepStrictEqual(unknown, [])
  })

  it("the README of the package has every import in its table, and no other", () => {
    const names = readdirSync(join(root, "packages/cli/src")).flatMap((file) =>
      /^[a-z][a-z0-9-]*\.ts$/u.test(file) && !["bin.ts", "index.ts"].includes(file) ? [file.slice(0, -3)] : []
    )
    const [, table = ""] = /\| import \| has \|\n([^]*?)\n\n/u.exec(page("packages/cli/README.md")) ?? []
    const listed = table.split("\n").flatMap((row) =>
      [...(row.split("|")[1] ?? "").matchAll(/`(?:fastagentic)?\/([a-z0-9-]+)`/gu)].map(([, name = ""]) => name)
    )
    assert.deepStrictEqual(listed.sort(), names.sort())
  })
})
