// A measured process: one of `servers/` or of `peers/`, configured by its environment.
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { atEnd } from "./atEnd.ts"

export class ServerProcess {
  readonly port: number
  private readonly child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.child = child
    this.port = port
  }

  /** Starts the process without waiting for it. */
  static spawn(script: string, port: number, environment: Readonly<Record<string, string>>): ServerProcess {
    const child = spawn(process.execPath, ["--disable-warning=DeprecationWarning", ...profiling, script], {
      env: { ...process.env, ...environment, PORT: `${port}` },
      stdio: ["ignore", "ignore", "inherit", "ipc"]
    })
    atEnd(() => child.kill("SIGKILL"))
    return new ServerProcess(child, port)
  }

  get pid() {
    return this.child.pid
  }

  /** Waits until it answers. */
  async ready(): Promise<this> {
    await this.message()
    return this
  }

  /** The milliseconds of runs without HTTP. */
  async inside(count: number, steps: number): Promise<ReadonlyArray<number>> {
    this.child.send({ count, steps })
    return Array.from(Object(await this.message()), Number)
  }

  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exited = once(this.child, "exit")
    this.child.kill(signal)
    await exited
  }

  private message(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null) => reject(new Error(`the server ended with code ${code}`))
      this.child.once("exit", ended)
      this.child.once("message", (message) => {
        this.child.off("exit", ended)
        resolve(message)
      })
    })
  }
}

/** `CPU_PROF=folder` writes a profile of each server there. */
const profiling = process.env["CPU_PROF"] === undefined
  ? []
  : ["--cpu-prof", "--cpu-prof-dir", process.env["CPU_PROF"]]
