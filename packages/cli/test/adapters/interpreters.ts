// Finds Python for the tests, and makes an environment for each framework under build/. A test whose Python is missing is
// skipped with the reason; with FASTAGENTIC_REQUIRE_PYTHON it fails.
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"

/** The releases that are tested. */
const frameworks = {
  "pydantic-ai": ["pydantic-ai-slim==2.68.0"]
} as const

type Framework = keyof typeof frameworks

/** An interpreter, or why there is none. */
export type Found = { readonly path: string } | { readonly reason: string }

const build = fileURLToPath(new URL("../../../../build/python/", import.meta.url))

const output = (command: string, ...args: ReadonlyArray<string>): string | undefined => {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  } catch {
    return undefined
  }
}

const places = (version: string) => {
  const root = join(process.env.PYENV_ROOT ?? join(homedir(), ".pyenv"), "versions")
  const folders = existsSync(root) ? readdirSync(root).filter((name) => name.startsWith(`${version}.`)) : []
  return [...folders.map((name) => join(root, name, "bin", "python")), `python${version}`]
}

/** The interpreter of a version such as `3.12`. */
export const interpreter = (version: string): Found => {
  const path = places(version).find((path) => output(path, "--version")?.startsWith(`Python ${version}.`) === true)
  return path === undefined ? { reason: `Python ${version} was not found` } : { path }
}

const newest = (): Found => {
  for (const version of ["3.12", "3.13", "3.11"]) {
    const found = interpreter(version)
    if ("path" in found) return found
  }
  return { reason: "Python 3.11 to 3.13 was not found" }
}

/** Any interpreter that the worker takes. */
export const python: Found = newest()

/** An interpreter with a framework, in an environment that is made once for each release. */
export const pythonWith = (framework: Framework): Found => {
  if ("reason" in python) return python
  const packages = frameworks[framework].join(" ")
  const folder = join(build, framework)
  const [path, marker] = [join(folder, "bin", "python"), join(folder, "packages.txt")]
  if (existsSync(marker) && readFileSync(marker, "utf8") === packages && output(path, "--version")) return { path }
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(build, { recursive: true })
  try {
    execFileSync(python.path, ["-m", "venv", folder], { stdio: "pipe" })
    execFileSync(path, ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...frameworks[framework]], {
      stdio: "pipe",
      timeout: 300_000
    })
  } catch (error) {
    return { reason: `${packages} cannot be installed: ${String(error).split("\n")[0]}` }
  }
  writeFileSync(marker, packages)
  return { path }
}

/** Declares tests that need an interpreter. */
export const describeWith = (name: string, found: Found, tests: (path: string) => void) => {
  if ("path" in found) return tests(found.path)
  if (process.env.FASTAGENTIC_REQUIRE_PYTHON !== undefined) throw new Error(`${name}: ${found.reason}`)
  describe.skip(`${name}: ${found.reason}`, () => {})
}
