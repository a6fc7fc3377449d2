import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { command } from "./process.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const page = (path: string) => readFileSync(join(root, path), "utf8")

const subcommandsOf = async (...path: ReadonlyArray<string>) => {
  const { code, stdout } = await command([...path, "--help"])
  assert.strictEqual(code, 0, path.join(" "))
  const [, listed = ""] = /SUBCOMMANDS\n([^]*?)(?:\n\n|$)/u.exec(stdout) ?? []
  return [...listed.matchAll(/^ {2}([a-z0-9]+)/gmu)].map(([, name = ""]) => name)
}

describe("the documentation of the command line", () => {
  it("docs/cli.md has every command and subcommand in a row, and no other", async () => {
    const [, table = ""] = /\| command \| does \| more \|\n([^]*?)\n\n/u.exec(page("docs/cli.md")) ?? []
    const rows = table.split("\n").slice(1).map((row) => {
      const [, names = ""] = row.split("|")
      return [...names.matchAll(/`([^`]+)`/gu)].map(([, name = ""]) => name.replace(/ [<[].*$/u, ""))
    })
    // `runs list`, `get`: the names after the first one belong to its command.
    const documented = rows.flatMap(([first = "", ...others]) => {
      const [head = "", sub] = first.split(" ")
      return sub === undefined ? [first, ...others] : [first, ...others.map((other) => `${head} ${other}`)]
    })
    const names: Array<string> = []
    for (const name of await subcommandsOf()) {
      const nested = await subcommandsOf(name)
      names.push(...(nested.length === 0 ? [name] : nested.map((one) => `${name} ${one}`)))
    }
    assert.includeMembers(names, ["new", "run", "audit verify", "runs fork"])
    assert.deepStrictEqual(documented.sort(), names.sort())
  })

  it("the lists of the READMEs name every command", async () => {
    const names = await subcommandsOf()
    const [, other = ""] = /^Other commands: ([^;]*);/mu.exec(page("README.md")) ?? []
    const listed = (text: string) => [...text.matchAll(/`(?:fastagentic )?([a-z]+)`/gu)].map(([, name = ""]) => name)
    assert.deepStrictEqual(["run", ...listed(other)].sort(), [...names].sort())
    const [, all = ""] = /^Commands: ([^.]*)\./mu.exec(page("packages/cli/README.md")) ?? []
    assert.deepStrictEqual(listed(all).sort(), [...names].sort())
  })
})
