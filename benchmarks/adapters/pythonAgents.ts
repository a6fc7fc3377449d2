/** Agents of Python: alone in a process that only says when its first token is there, or hosted in their worker. */
import { Python } from "fastagentic/python"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { Desk, type Subject } from "./subject.ts"

const file = fileURLToPath(new URL("python_agents.py", import.meta.url))

/** Environments that the trials of the frameworks have made. */
const interpreterOf = (name: string) => {
  if (name === "python") return "python3"
  const path = fileURLToPath(new URL(`../../build/python/${name}/bin/python`, import.meta.url))
  if (!existsSync(path)) throw new Error(`${path} is missing; the trials of ${name} make it`)
  return path
}

export const pythonSubject = (name: "python" | "pydantic-ai" | "langgraph"): Subject => {
  const interpreter = interpreterOf(name)
  let child: ReturnType<typeof start> | undefined
  const start = () => {
    const process = spawn(interpreter, [file, name], { stdio: ["pipe", "pipe", "inherit"] })
    return { ask: () => process.stdin.write("go\n"), lines: createInterface(process.stdout)[Symbol.asyncIterator]() }
  }
  return {
    isOutside: true,
    alone: async function*() {
      child ??= start()
      child.ask()
      yield String((await child.lines.next()).value)
      const count = Number((await child.lines.next()).value)
      for (let number = 1; number < count; number++) yield ""
    },
    hosted: Python.layer(Desk, { entrypoint: `${file}:${name.split("-")[0]}_agent`, interpreter })
  }
}
