/**
 * Adds the packages of other platforms to package-lock.json, which npm omits when they are not installed; `npm ci`
 * refuses a lock file without them. With `--check`, fails when some are missing.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./internal/workspace.ts"

interface Entry {
  readonly version?: string
  readonly dev?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

interface Lock {
  readonly packages: Readonly<Record<string, Entry>>
}

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const processors = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64"]

const file = join(root, "package-lock.json")
const lock = JSON.parse(readFileSync(file, "utf8")) as Lock

/** Whether the package at `path` finds `name` in its own node_modules or in one further up. */
const resolves = (path: string, name: string): boolean => {
  const own = [path, "node_modules", name].filter((part) => part !== "").join("/")
  if (own in lock.packages) return true
  return path !== "" && resolves(path.slice(0, Math.max(0, path.lastIndexOf("node_modules/") - 1)), name)
}

/** Platform packages name their platform. */
const platformEntry = (name: string, version: string, dependent: Entry): Entry | undefined => {
  const words = name.split(/[-/@]/)
  const os = words.filter((word) => systems.includes(word))
  const cpu = words.filter((word) => processors.includes(word))
  if (!/^\d/.test(version) || cpu.length !== 1 || (os.length !== 1 && cpu[0] !== "wasm32")) return undefined
  const libc = words.some((word) => word.startsWith("musl"))
    ? ["musl"]
    : words.some((word) => word.startsWith("gnu") || word === "glibc")
    ? ["glibc"]
    : []
  return {
    version,
    cpu,
    ...(dependent.dev === true ? { dev: true } : {}),
    ...(os[0] === "linux" && libc.length > 0 ? { libc } : {}),
    optional: true,
    ...(os.length > 0 ? { os } : {})
  } as Entry
}

const missing = Object.entries(lock.packages).flatMap(([path, dependent]) =>
  Object.entries(dependent.optionalDependencies ?? {})
    .filter(([name]) => !resolves(path, name))
    .flatMap(([name, version]) => {
      const entry = platformEntry(name, version, dependent)
      return entry === undefined ? [] : [[`node_modules/${name}`, entry] as const]
    })
)

if (missing.length === 0) {
  console.log("lock: complete")
} else if (process.argv.includes("--check")) {
  console.error(`lock: ${missing.length} platform packages are missing in package-lock.json, run \`npm run lock\``)
  process.exitCode = 1
} else {
  const { "": workspace, ...entries } = lock.packages
  const sorted = Object.entries({ ...entries, ...Object.fromEntries(missing) })
    .sort(([a], [b]) => a < b ? -1 : 1)
  const packages = { ...(workspace === undefined ? {} : { "": workspace }), ...Object.fromEntries(sorted) }
  writeFileSync(file, JSON.stringify({ ...lock, packages }, null, 2) + "\n")
  console.log(`lock: ${missing.length} platform packages added`)
}
