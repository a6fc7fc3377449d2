/**
 * A process of the benchmark of adapters: it makes runs of one framework, alone, or hosted with the store that is named, as
 * many as each message says, and answers with what they cost.
 */
import { Effect, Layer, ManagedRuntime, Stream } from "effect"
import { App, Audit, Auth, Budget, Caller, RateLimit, RunStore, Runtime, Sqlite } from "fastagentic"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { childrenOf } from "../adapters/children.ts"
import { steps, tokens } from "../adapters/script.ts"
import { Desk, type Subject } from "../adapters/subject.ts"

const python = () => import("../adapters/pythonAgents.ts")

const subjects: Record<string, () => Promise<{ readonly subject: Subject }>> = {
  "ai-sdk": () => import("../adapters/aiSdk.ts"),
  "openai-agents": () => import("../adapters/openAiAgents.ts"),
  mastra: () => import("../adapters/mastra.ts"),
  langgraph: () => import("../adapters/langGraph.ts"),
  langchain: () => import("../adapters/langChain.ts"),
  python: async () => ({ subject: (await python()).pythonSubject("python") }),
  "python-pydantic-ai": async () => ({ subject: (await python()).pythonSubject("pydantic-ai") }),
  "python-langgraph": async () => ({ subject: (await python()).pythonSubject("langgraph") })
}

const [, , name = "", way] = process.argv
const { subject } = await (subjects[name] ?? (() => Promise.reject(new Error(`no framework ${name}`))))()

/** Makes a run, and calls `onToken` for each token. */
type Run = (onToken: () => void) => Promise<void>

const alone: Run = async (onToken) => {
  for await (const _token of subject.alone()) onToken()
}

const hosted = async (store: Layer.Layer<RunStore.RunStore, unknown>): Promise<Run> => {
  const runtime = ManagedRuntime.make(Layer.orDie(
    Runtime.layer(App.make("bench", { version: "1", agents: [Desk] })).pipe(
      Layer.provide(subject.hosted),
      Layer.provide([store, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited, Audit.layerMemory])
    )
  ))
  const service = await runtime.runPromise(Runtime.Runtime)
  const caller = Caller.make("local")
  const request = { kind: "agent" as const, identifier: "desk", payload: { question: "Where is it?" } }
  return (onToken) =>
    runtime.runPromise(Effect.orDie(Effect.gen(function*() {
      const { run: { runId } } = yield* service.start(caller, request)
      const pages = yield* service.follow(caller, runId, { after: 0, until: "final" })
      yield* Stream.runForEach(pages, ({ events }) =>
        Effect.sync(() => {
          for (const { type } of events) if (type === "token") onToken()
        }))
    })))
}

const folder = mkdtempSync(join(tmpdir(), "bench-adapters-"))
process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
const run = way === "alone"
  ? alone
  : await hosted(
    way === "memory" ? RunStore.RunStore.layerMemory : Sqlite.layer({ filename: join(folder, "runs.db") })
  )

const counts = subject.isOutside === true && way === "alone" ? 0 : 1

/** The CPU in microseconds and the memory in bytes of this process and of those that it has started. */
const costs = () => {
  const { system, user } = process.cpuUsage()
  const others = subject.isOutside === true ? childrenOf(process.pid) : []
  return {
    cpu: counts * (system + user) + others.reduce((sum, { cpu }) => sum + cpu, 0),
    rss: counts * process.memoryUsage.rss() + others.reduce((sum, { rss }) => sum + rss, 0)
  }
}

process.on("message", async (count) => {
  const before = costs()
  const first: Array<number> = []
  for (let number = 0; number < Number(count); number++) {
    const startedAt = performance.now()
    let seen = 0
    await run(() => {
      if (seen++ === 0) first.push(performance.now() - startedAt)
    })
    if (seen !== steps * tokens) throw new Error(`${seen} tokens arrived`)
  }
  const { cpu, rss } = costs()
  process.send?.({
    cpu: (cpu - before.cpu) / 1_000 / Number(count),
    first: first.toSorted((a, b) => a - b)[Math.floor(first.length / 2)],
    rss: rss / 2 ** 20
  })
})
process.on("SIGTERM", () => process.exit())
process.send?.("ready")
