import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const packages = fileURLToPath(new URL("../../", import.meta.url))

interface Manifest {
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const manifests = globSync("*/package.json", { cwd: packages }).map((file) =>
  JSON.parse(readFileSync(`${packages}${file}`, "utf8")) as Manifest // cast: a manifest of this workspace
)

describe("A published package", () => {
  it("brings no effect of its own, and takes every later minor of those that an app has", () => {
    assert.isNotEmpty(manifests)
    for (const { dependencies = {}, name, peerDependencies = {} } of manifests) {
      assert.notProperty(dependencies, "effect", name)
      assert.match(peerDependencies["effect"] ?? "", /^\^4\.\d+\.\d+$/u, name)
      const others = Object.entries({ ...dependencies, ...peerDependencies }).filter(([one]) =>
        one.startsWith("@effect/")
      )
      for (const [one, range] of others) assert.match(range, /^\^4\.\d+\.\d+$/u, `${name}: ${one}`)
    }
  })
})
