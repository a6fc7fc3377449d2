import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

const app = fileURLToPath(new URL("app.ts", import.meta.url))
const manifest = import.meta.resolve("fastagentic/package.json")
const command = fileURLToPath(new URL("src/bin.ts", manifest))

export interface Server {
  readonly url: string
  readonly child: ChildProcess
}

/** Runs `fastagentic run app.ts` on a free port; the variable keeps the password of a store out of the process list. */
export const start = (store: string): Promise<Server> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, "run", app, "--mode", "http", "--port", "0"], {
      env: { ...process.env, FASTAGENTIC_STORE: store },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    const hear = (text: string) => {
      output += text
      const url = /answers on (http:\S+)/u.exec(output)?.[1]
      if (url !== undefined) resolve({ url, child })
    }
    child.stdout.setEncoding("utf8").on("data", hear)
    child.stderr.setEncoding("utf8").on("data", hear)
    child.once("exit", (code, signal) => reject(new Error(`the server ended with ${signal ?? code}: ${output}`)))
  })

export const stop = ({ child }: Server): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once("exit", () => resolve())
    child.kill("SIGTERM")
  })
