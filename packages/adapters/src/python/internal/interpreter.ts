// Finds the interpreter of a Python agent: the one that is given, that of a virtual environment, or the one on the path.
// worker.ts starts it.
import { existsSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import process from "node:process"

/** A command that runs Python. */
export interface Interpreter {
  readonly command: string
  readonly args: ReadonlyArray<string>
}

const inside = (environment: string) => join(environment, "bin", "python")

/** The folder and those that it is in, the innermost first. */
const upFrom = function*(folder: string): Generator<string> {
  for (let current = resolve(folder);; current = dirname(current)) {
    yield current
    if (current === dirname(current)) return
  }
}

/**
 * In this order: `given`, `FASTAGENTIC_PYTHON`, the active virtual environment, the `.venv` of the agent's folder or of one
 * that this is in, the project of a `uv.lock` there, and `python3`.
 */
export const interpreterFor = (folder: string, given: string | undefined): Interpreter => {
  const { FASTAGENTIC_PYTHON, VIRTUAL_ENV } = process.env
  const named = given ?? FASTAGENTIC_PYTHON
  if (named !== undefined && named !== "") return { command: named, args: [] }
  if (VIRTUAL_ENV !== undefined && existsSync(inside(VIRTUAL_ENV))) return { command: inside(VIRTUAL_ENV), args: [] }
  for (const current of upFrom(folder)) {
    const python = inside(join(current, ".venv"))
    if (existsSync(python)) return { command: python, args: [] }
    if (existsSync(join(current, "uv.lock"))) {
      return { command: "uv", args: ["run", "--frozen", "--project", current, "python"] }
    }
  }
  return { command: "python3", args: [] }
}
