import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { defects, musts } from "./musts.ts"
import { rows } from "./requirements.ts"

const tests = new Map<string, string>()

/** The titles and the rest of a file of tests. */
const textOf = (file: string) => {
  const path = new URL(`../${file}`, import.meta.url)
  const text = tests.get(file) ?? (existsSync(path) ? readFileSync(path, "utf8") : "")
  tests.set(file, text)
  return text
}

const isThere = (shownBy: string) => {
  const [kind = "", ...rest] = shownBy.split(/: ?/u)
  const name = rest.join(": ")
  if (kind === "row") return rows.some(({ id }) => id === name)
  // A title is the start of a text, or follows the name of a binding.
  return new RegExp(`["\`} ]${name.replaceAll(/[.*+?^${}()|[\]\\]/gu, "\\$&")}`, "u").test(textOf(kind))
}

describe("The requirements of A2A", () => {
  it("have a test each, and each fault that others had", () => {
    const all = [
      ...musts.map(({ must, section, shownBy }) => [`${section}: ${must}`, shownBy] as const),
      ...defects
    ]
    const missing = all.flatMap(([name, shownBy]) =>
      shownBy.length === 0 ? [name] : shownBy.filter((one) => !isThere(one)).map((one) => `${name}: ${one}`)
    )
    assert.deepStrictEqual(missing, [])
  })

  it("are the rows that run over each binding, with none that no requirement names", () => {
    const named = new Set(
      [...musts.flatMap(({ shownBy }) => shownBy), ...defects.flatMap(([, shownBy]) => shownBy)]
        .filter((one) => one.startsWith("row:")).map((one) => one.slice(4))
    )
    assert.deepStrictEqual(rows.map(({ id }) => id).filter((id) => !named.has(id)), [])
    assert.strictEqual(new Set(rows.map(({ id }) => id)).size, rows.length)
  })
})
