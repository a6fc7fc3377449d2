import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const blocksOf = (page: string) =>
  [...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n([^]*?)^```/gmu)].map(([, text = ""]) => text)

// The packages of the workspace are found from a folder in it.
const folder = join(root, "build/testing-page")

describe("docs/testing.md", () => {
  it("has tests that pass, with Vitest and with node:test", () => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const app = blocksOf("README.md").find((text) => text.includes("export default")) ?? ""
    writeFileSync(join(folder, "app.ts"), app)
    const [vitest = "", node = "", ...others] = blocksOf("docs/testing.md")
    assert.deepStrictEqual(others, [])
    writeFileSync(join(folder, "desk.test.ts"), vitest)
    writeFileSync(join(folder, "shop.ts"), node)
    const run = (...args: ReadonlyArray<string>) => {
      const { status, stderr, stdout } = spawnSync(process.execPath, args, {
        cwd: folder,
        encoding: "utf8",
        timeout: 100_000
      })
      assert.strictEqual(status, 0, stdout + stderr)
      return stdout
    }
    assert.match(run(join(root, "node_modules/vitest/vitest.mjs"), "run", "--root", folder), /2 passed/u)
    assert.match(run("--test", "shop.ts"), /pass 1/u)
  }, 240_000)
})
