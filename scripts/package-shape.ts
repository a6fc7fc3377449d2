/** Packs every public package as it would be published and checks the tarball with publint and attw. Run `tsc -b` first. */
import { execFileSync, spawnSync } from "node:child_process"
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join, matchesGlob } from "node:path"
import { stage } from "./stage.ts"

const folder = mkdtempSync(join(tmpdir(), "package-shape-"))

const pack = (staged: string): string => {
  const output = execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder, staged], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"]
  })
  const packed = JSON.parse(output)
  const [{ filename }] = Array.isArray(packed) ? packed : Object.values(packed)
  return join(folder, filename)
}

/** The subpaths that match a wildcard of `exports`; attw does not expand wildcards. */
const subpaths = (staged: string): ReadonlyArray<string> => {
  const { exports } = JSON.parse(readFileSync(join(staged, "package.json"), "utf8")) as Exports
  return Object.entries(exports).flatMap(([subpath, target]) => {
    if (target === null || !subpath.includes("*")) return []
    const closed = Object.keys(exports).filter((key) => exports[key] === null)
    return globSync(target.replace("*", "**/*"), { cwd: staged })
      .map((file) => subpath.replace("*", matched(target, `./${file}`)))
      .filter((path) =>
        !(path in exports) && path !== "./index" && !closed.some((key) => matchesGlob(path, key.replace("*", "**")))
      )
  })
}

interface Exports {
  readonly exports: Readonly<Record<string, string | null>>
}

const matched = (pattern: string, path: string): string => {
  const [before = "", after = ""] = pattern.split("*")
  return path.slice(before.length, path.length - after.length)
}

const passes = (command: string, ...args: ReadonlyArray<string>): boolean => {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" })
  if (status !== 0) console.error(`${command}\n${stdout}${stderr}`)
  return status === 0
}

const shaped = (staged: string): boolean => {
  const tarball = pack(staged)
  const paths = subpaths(staged)
  const lint = passes("publint", "run", tarball, "--strict")
  const include = paths.length > 0 ? ["--include-entrypoints", ...paths] : []
  const types = passes("attw", tarball, "--profile", "esm-only", "--no-emoji", "--format", "ascii", ...include)
  console.log(`shape: ${basename(staged)} ${lint && types ? "ok" : "FAILED"}, ${paths.length} subpaths`)
  return lint && types
}

try {
  if (!stage(folder).map(shaped).every(Boolean)) process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
