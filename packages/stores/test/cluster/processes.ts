// Processes with one node each, for the tests of the cluster engine.
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("node.ts", import.meta.url))

const decodeIds = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(Schema.String)))

/** A process with a node in it. */
export class NodeProcess {
  private readonly child: ChildProcess
  private said = ""

  constructor(args: ReadonlyArray<string>) {
    this.child = spawn(process.execPath, [script, ...args], { stdio: ["pipe", "pipe", "pipe"] })
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => this.said += text)
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => this.said += text)
  }

  get pid() {
    return this.child.pid ?? 0
  }

  readonly ready = Effect.suspend(() => this.reported("ready"))

  start(runs: number) {
    return Effect.suspend(() => {
      this.child.stdin?.write(`${runs}\n`)
      return Effect.map(this.reported("started"), decodeIds)
    })
  }

  kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL") {
    return Effect.promise(async () => {
      if (this.child.exitCode !== null || this.child.signalCode !== null) return
      const exited = once(this.child, "exit")
      this.child.kill(signal)
      await exited
    })
  }

  private reported(word: string): Effect.Effect<string> {
    return Effect.promise(async () => {
      while (true) {
        const line = this.said.split("\n").slice(0, -1).find((line) => line.startsWith(`${word} `))
        if (line !== undefined) return line.slice(word.length + 1)
        if (this.child.exitCode !== null) throw new Error(`a node ended: ${this.said}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })
  }
}

/** Processes that end with the scope. */
export const launch = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(Effect.sync(() => new NodeProcess(args)), (node) => node.kill())

/** A file to which every executed step appends a line. */
export const witness = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "cluster-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => {
    const file = join(folder, "witness")
    writeFileSync(file, "")
    return { folder, file, steps: () => readFileSync(file, "utf8").split("\n").slice(0, -1).map(parse) }
  }
)

interface Step {
  readonly at: number
  readonly pid: number
  readonly runId: string
  readonly step: number
}

const parse = (line: string): Step => {
  const [at, pid, runId = "", step] = line.split(" ")
  return { at: Number(at), pid: Number(pid), runId, step: Number(step) }
}

export const until = (condition: () => boolean) =>
  Effect.repeat(Effect.delay(Effect.sync(condition), "20 millis"), { until: (met) => met })

/** Asserts that all steps ran, and that at most the one in progress at each kill ran again. */
export const isWalked = (steps: ReadonlyArray<Step>, runId: string, killed: number) => {
  const own = steps.filter((step) => step.runId === runId)
  const last = own.filter(({ pid }) => pid === killed).at(-1)?.step
  const seen = new Set<number>()
  for (const { pid, step } of own) {
    if (seen.has(step)) assert.isTrue(step === last && pid !== killed, `step ${step} of ${runId} was taken again`)
    seen.add(step)
  }
  assert.strictEqual(seen.size, 30)
}
