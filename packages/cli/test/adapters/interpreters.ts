// Finds Python for the tests. A test whose Python is missing is skipped with the reason; with FASTAGENTIC_REQUIRE_PYTHON it
// fails.
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { describe } from "vitest"

/** An interpreter, or why there is none. */
export type Found = { readonly path: string } | { readonly reason: string }

/** The output of a command that succeeds. */
export const output = (command: string, ...args: ReadonlyArray<string>): string | undefined => {
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

/** Whether an interpreter is there; without one the tests of `name` are skipped, or fail where Python is required. */
export const isThere = (name: string, found: Found): boolean => {
  if ("path" in found) return true
  if (process.env.FASTAGENTIC_REQUIRE_PYTHON !== undefined) throw new Error(`${name}: ${found.reason}`)
  describe.skip(`${name}: ${found.reason}`, () => {})
  return false
}

/** Declares tests that need an interpreter. */
export const describeWith = (name: string, found: Found, tests: (path: string) => void) => {
  if (isThere(name, found) && "path" in found) tests(found.path)
}
