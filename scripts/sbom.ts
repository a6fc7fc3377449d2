/**
 * Prints a CycloneDX SBOM of the lock file, which marks the tools of development as such. `npm sbom` demands a version of the
 * root, which a workspace does not have, so it runs in a copy that has one. With `--check` it only says how many packages it has.
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root, workspaces } from "./internal/workspace.ts"

/**
 * The entries without the optional peers of packages of others: such a package does not load a peer of another version, which
 * npm takes for a problem of the whole document.
 */
const withoutOptionalPeers = (packages: Record<string, Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(packages).map(([path, { peerDependencies, ...entry }]) => {
      if (peerDependencies === undefined || !path.includes("node_modules/")) {
        return [path, peerDependencies === undefined ? entry : { ...entry, peerDependencies }]
      }
      const optional = Object.keys(Object(entry["peerDependenciesMeta"]))
      const needed = Object.entries(Object(peerDependencies)).filter(([name]) => !optional.includes(name))
      return [path, { ...entry, peerDependencies: Object.fromEntries(needed) }]
    })
  )

/** The document as JSON text. */
export const sbom = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "sbom-"))
  const versioned = (name: string, change: (json: Record<string, unknown>) => unknown) =>
    writeFileSync(join(folder, name), JSON.stringify(change(JSON.parse(readFileSync(join(root, name), "utf8")))))
  try {
    for (const { folder: path } of workspaces()) {
      cpSync(join(root, path, "package.json"), join(folder, path, "package.json"))
    }
    versioned("package.json", (json) => ({ ...json, version: "0.0.0" }))
    versioned("package-lock.json", (json) => {
      const packages = withoutOptionalPeers({ ...Object(json["packages"]) })
      return { ...json, version: "0.0.0", packages: { ...packages, "": { ...packages[""], version: "0.0.0" } } }
    })
    const flags = ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"]
    return execFileSync("npm", flags, { cwd: folder, encoding: "utf8", maxBuffer: 64 * 1_048_576 })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

if (import.meta.main) {
  const document = sbom()
  if (process.argv.includes("--check")) console.log(`sbom: ${JSON.parse(document).components.length} packages`)
  else process.stdout.write(document)
}
