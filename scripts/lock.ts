/**
 * Adds the packages of other platforms to package-lock.json, which npm omits when they are not installed; `npm ci`
 * refuses a lock file without them. npm resolves them in a folder without node_modules, so that they have an integrity; a
 * registry that does not have one leaves an entry without. With `--check`, fails when some are missing, or when an entry
 * without integrity is more than a tool of another platform.
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { root } from "./internal/workspace.ts"

interface Entry {
  readonly version?: string
  readonly integrity?: string
  readonly link?: boolean
  readonly optional?: boolean
  readonly dev?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

interface Lock {
  readonly packages: Readonly<Record<string, Entry>>
}

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"]
const processors = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "wasm32", "x64"]

const file = join(root, "package-lock.json")
const readLock = (path: string) => JSON.parse(readFileSync(path, "utf8")) as Lock
const lock = readLock(file)

const lacksIntegrity = ([path, entry]: readonly [string, Entry]) =>
  path.includes("node_modules/") && entry.link !== true && entry.integrity === undefined

/** The entries that npm finds for all platforms when nothing is installed. */
const resolved = (): Lock => {
  const folder = mkdtempSync(join(tmpdir(), "lock-"))
  try {
    const manifests = Object.keys(lock.packages).filter((path) => !path.includes("node_modules/"))
    for (const path of manifests) cpSync(join(root, path, "package.json"), join(folder, path, "package.json"))
    cpSync(join(root, ".npmrc"), join(folder, ".npmrc"))
    const known = Object.fromEntries(Object.entries(lock.packages).filter((entry) => !lacksIntegrity(entry)))
    writeFileSync(join(folder, "package-lock.json"), JSON.stringify({ ...lock, packages: known }))
    execFileSync("npm", ["install", "--package-lock-only", "--ignore-scripts"], { cwd: folder, stdio: "ignore" })
    return readLock(join(folder, "package-lock.json"))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Whether the package at `path` finds `name` in its own node_modules or in one further up. */
const resolves = (packages: Lock["packages"], path: string, name: string): boolean => {
  const own = [path, "node_modules", name].filter((part) => part !== "").join("/")
  if (own in packages) return true
  return path !== "" && resolves(packages, path.slice(0, Math.max(0, path.lastIndexOf("node_modules/") - 1)), name)
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

/** The packages of other platforms that a lock file does not have. */
const missingIn = (packages: Lock["packages"]) =>
  Object.entries(packages).flatMap(([path, dependent]) =>
    Object.entries(dependent.optionalDependencies ?? {})
      .filter(([name]) => !resolves(packages, path, name))
      .flatMap(([name, version]) => {
        const entry = platformEntry(name, version, dependent)
        return entry === undefined ? [] : [[`node_modules/${name}`, entry] as const]
      })
  )

if (process.argv.includes("--check")) {
  const missing = missingIn(lock.packages)
  const open = Object.entries(lock.packages).filter(lacksIntegrity)
  const wrong = open.filter(([, { dev, optional }]) => dev !== true || optional !== true)
  if (missing.length > 0) console.error(`lock: ${missing.length} platform packages are missing, run \`npm run lock\``)
  for (const [path] of wrong) console.error(`lock: ${path} has no integrity`)
  if (missing.length > 0 || wrong.length > 0) process.exitCode = 1
  else console.log(`lock: complete; ${open.length} tools of other platforms have no integrity`)
} else {
  const { packages } = resolved()
  const added = missingIn(packages)
  const { "": workspace, ...entries } = packages
  const sorted = Object.entries({ ...entries, ...Object.fromEntries(added) }).sort(([a], [b]) => a < b ? -1 : 1)
  const all = { ...(workspace === undefined ? {} : { "": workspace }), ...Object.fromEntries(sorted) }
  writeFileSync(file, JSON.stringify({ ...lock, packages: all }, null, 2) + "\n")
  console.log(`lock: ${sorted.length} packages, ${Object.entries(all).filter(lacksIntegrity).length} without integrity`)
}
