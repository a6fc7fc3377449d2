/**
 * Prints a CycloneDX SBOM of the lock file. `npm sbom` demands a version of the root, which a workspace does not have, so it
 * runs in a copy that has one.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root } from "./internal/workspace.ts"

const folder = mkdtempSync(join(tmpdir(), "sbom-"))
const versioned = (name: string, change: (json: Record<string, unknown>) => unknown) =>
  writeFileSync(join(folder, name), JSON.stringify(change(JSON.parse(readFileSync(join(root, name), "utf8")))))

try {
  versioned("package.json", (json) => ({ ...json, version: "0.0.0" }))
  versioned("package-lock.json", (json) => {
    const packages = { ...Object(json["packages"]) }
    return { ...json, version: "0.0.0", packages: { ...packages, "": { ...packages[""], version: "0.0.0" } } }
  })
  for (const name of readdirSync(join(root, "packages"))) {
    cpSync(join(root, "packages", name, "package.json"), join(folder, "packages", name, "package.json"))
  }
  cpSync(join(root, "benchmarks/package.json"), join(folder, "benchmarks/package.json"))
  const { status } = spawnSync("npm", ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"], {
    cwd: folder,
    stdio: "inherit"
  })
  process.exitCode = status ?? 1
} finally {
  rmSync(folder, { recursive: true })
}
