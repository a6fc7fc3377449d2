import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

export const fixture = (name: string) => fileURLToPath(new URL(`fixture/${name}`, import.meta.url))
const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url))

export interface Running {
  readonly child: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  readonly exited: Promise<number | null>
}

// A test that is given up on leaves its processes running.
const started = new Set<ChildProcess>()
process.once("exit", () => started.forEach((child) => child.kill("SIGKILL")))

export const temporaryFolder = () => mkdtempSync(join(tmpdir(), "fastagentic-"))

/** The real command in a process of its own. */
export const fastagentic = (
  args: ReadonlyArray<string>,
  options: {
    readonly cwd?: string
    readonly stdin?: "ignore" | "pipe"
    readonly env?: Record<string, string>
  } = {}
): Running => {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: options.cwd ?? temporaryFolder(),
    env: { ...process.env, ...options.env },
    stdio: [options.stdin ?? "ignore", "pipe", "pipe"]
  })
  started.add(child)
  child.once("exit", () => started.delete(child))
  let [stdout, stderr] = ["", ""]
  child.stdout?.setEncoding("utf8").on("data", (text: string) => stdout += text)
  child.stderr?.setEncoding("utf8").on("data", (text: string) => stderr += text)
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    exited: new Promise((resolve) => child.once("exit", (code) => resolve(code)))
  }
}

/** The URL of a server, once it has said that it answers. */
export const listening = async (running: Running): Promise<string> => {
  for (let i = 0; i < 1_600; i++) {
    const url = /answers on (http:\S+)/u.exec(running.stdout() + running.stderr())?.[1]
    if (url !== undefined) return url
    if (running.child.exitCode !== null || running.child.signalCode !== null) break
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`the server did not answer: ${running.stdout()} ${running.stderr()}`)
}

/** The output of a command, and its exit code. */
export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const startCommands = () => {
  const child = spawn(process.execPath, [fixture("commands.ts")], { stdio: ["pipe", "pipe", "inherit"] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return { stdin: child.stdin, answers, last: Promise.resolve<unknown>(undefined) }
}

let commands: ReturnType<typeof startCommands> | undefined

/**
 * A command that ends by itself, with its own arguments, folder and environment. The commands of a test file share a process,
 * one after the other; a test of signals, of a server or of two processes at once starts its own with `fastagentic`.
 */
export const command = (
  args: ReadonlyArray<string>,
  { cwd = temporaryFolder(), env = {} }: { readonly cwd?: string; readonly env?: Record<string, string> } = {}
): Promise<Ended> => {
  const { answers, last, stdin } = commands ??= startCommands()
  const ended = last.then(async (): Promise<Ended> => {
    stdin.write(`${JSON.stringify({ args, cwd, env: { ...process.env, ...env } })}\n`)
    const answer = await answers.next()
    if (answer.done === true) throw new Error(`the process of commands ended at ${args.join(" ")}`)
    return JSON.parse(answer.value)
  })
  commands.last = ended.catch(() => {})
  return ended
}
