import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { known } from "../src/internal/variables.ts"
import { command, fixture, temporaryFolder } from "./process.ts"

/** The names in a section of a help page. */
const listed = (help: string, section: string, pattern: RegExp) => {
  const [, lines = ""] = new RegExp(`^${section}\n([^]*?)(?:\n\n|$(?![^]))`, "mu").exec(help) ?? []
  return [...lines.matchAll(pattern)].map(([, name = ""]) => name)
}

interface Option {
  readonly path: ReadonlyArray<string>
  readonly flag: string
  readonly takesValue: boolean
}

/** Every flag of every command below this one, as its help page lists it. */
const optionsOf = async (path: ReadonlyArray<string>): Promise<ReadonlyArray<Option>> => {
  const { stdout } = await command([...path, "--help"])
  const flags = listed(stdout, "FLAGS", /^ {2}(--[a-z-]+.*?) {2,}/gmu).map((shown) => {
    const [flag = "", type] = shown.split(/,? /u)
    return { path, flag, takesValue: type !== undefined && type !== "" && !type.startsWith("-") }
  })
  const below: Array<Option> = []
  for (const name of listed(stdout, "SUBCOMMANDS", /^ {2}([a-z0-9-]+)/gmu)) {
    below.push(...await optionsOf([...path, name]))
  }
  return [...flags, ...below]
}

/** The name without a letter, with two letters swapped, and with a letter more. */
const misspellings = (name: string, shortest: number) => {
  const at = Math.max(shortest, Math.floor(name.length / 2))
  return [
    name.slice(0, at) + name.slice(at + 1),
    name.slice(0, at) + (name[at + 1] ?? "") + (name[at] ?? "") + name.slice(at + 2),
    `${name}s`
  ].filter((one) => one !== name)
}

describe("An option that is not known", () => {
  it("stops every command, for each flag that it has, with one line that names it", async () => {
    const options = await optionsOf([])
    const flags = new Set(options.map(({ flag, path }) => `${path.join(" ")} ${flag}`))
    assert.includeMembers([...flags], ["run --store", "run --trusted-proxy", "keys create --tenant"])
    let checked = 0
    for (const { flag, path, takesValue } of options) {
      for (const wrong of misspellings(flag, 3)) {
        if (flags.has(`${path.join(" ")} ${wrong}`)) continue
        const { code, stderr, stdout } = await command([
          ...path,
          ...(path[0] === "run" ? [fixture("app.ts")] : []),
          wrong,
          ...(takesValue ? ["x"] : [])
        ])
        const label = `${path.join(" ")} ${wrong}: ${stdout}${stderr}`
        assert.notStrictEqual(code, 0, label)
        assert.include(stderr, wrong, label)
        assert.strictEqual(stderr.trimEnd().split("\n").length, 1, label)
        assert.notInclude(stdout, "answers on", label)
        checked++
      }
    }
    assert.isAbove(checked, 100)
  }, 120_000)

  it("is a variable that the sources read, and every one of them is listed", () => {
    const packages = fileURLToPath(new URL("../..", import.meta.url))
    const sources = globSync("*/src/**/*.ts", { cwd: packages }).map((file) =>
      readFileSync(join(packages, file), "utf8")
    )
    const read = new Set(sources.flatMap((source) => source.match(/FASTAGENTIC_[A-Z_]+/gu) ?? []))
    assert.deepStrictEqual([...read].sort(), [...known])
  })

  it("stops the server, for each variable of the environment, with the name that was meant", async () => {
    const serve = [
      "run",
      fixture("app.ts"),
      "--mode",
      "http",
      "--port",
      "0",
      "--store",
      join(temporaryFolder(), "a.db")
    ]
    for (const name of known) {
      for (const wrong of misspellings(name, "FASTAGENTIC_".length)) {
        const { code, stderr } = await command(serve, { env: { [wrong]: "secret-value" } })
        assert.notStrictEqual(code, 0, wrong)
        assert.include(stderr, `the variable ${wrong} is not known; did you mean ${name}?`)
        assert.notInclude(stderr, "secret-value")
      }
    }
    const lower = await command(serve, { env: { fastagentic_store: "x" } })
    assert.include(lower.stderr, "did you mean FASTAGENTIC_STORE?")
  }, 60_000)
})
