import { assert, describe, it } from "@effect/vitest"
import * as Timings from "@fastagentic/core/base/Timings"
import { readFileSync } from "node:fs"

const read = (path: string) => readFileSync(new URL(`../../../../${path}`, import.meta.url), "utf8")

describe("Timings", () => {
  it("docs/timings.md lists every timing with its value, and no other", () => {
    const rows = [...read("docs/timings.md").matchAll(/^\| `(\w+)` \| (\d+) \| .+ \|$/gmu)]
    assert.deepStrictEqual(
      Object.fromEntries(rows.map(([, name, value]) => [name, Number(value)])),
      Object.fromEntries(Object.entries(Timings))
    )
  })

  it("the documents name the number of losses after which a run is held", () => {
    const words = ["zero", "one", "two", "three", "four", "five"]
    const text = `${words[Timings.lossesUntilHeld]} times in a row`
    for (const path of ["docs/runs.md", "DESIGN.md"]) {
      const lines = read(path).split("\n").filter((line) => /repair/u.test(line) && /times in a row/u.test(line))
      assert.isNotEmpty(lines, path)
      for (const line of lines) assert.include(line, text, path)
    }
  })
})
