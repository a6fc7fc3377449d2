import { assert, describe, it } from "@effect/vitest"
import { Postgres } from "@fastagentic/stores/postgres"
import { Redis } from "@fastagentic/stores/redis"
import { Sqlite } from "@fastagentic/stores/sqlite"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Layer } from "effect"
import { Audit, RunStore, ScheduleStore } from "fastagentic"
import { join } from "node:path"
import { type Lab, serveTools } from "./matrix/toolLab.ts"
import { temporaryFolder } from "./process.ts"

/** A policy about a tool call. Its result on a direct call, in a run, and the entry that says so. */
interface Case {
  readonly name: string
  readonly tool: string
  readonly mark?: (mark: string) => unknown
  readonly decision?: object
  readonly direct: string
  readonly inRun: string
  readonly audit?: readonly [decision: string, rule?: string]
  /** The result on the edited path, where it is another; nothing when the path does not apply. */
  readonly edited?: string | undefined
}

const approve = { decision: "approve" }

const cases: ReadonlyArray<Case> = [
  { name: "no policy", tool: "free", direct: "done", inRun: "done", audit: ["allowed"] },
  {
    name: "a missing scope",
    tool: "scoped",
    direct: "Forbidden scopes",
    inRun: "lacks scope tools:scoped",
    audit: ["Forbidden", "scopes: tools:scoped"]
  },
  {
    name: "a rule",
    tool: "ruled",
    direct: "Forbidden no ruled",
    inRun: "no ruled",
    audit: ["Forbidden", "no ruled"]
  },
  {
    name: "a rate that is used up",
    tool: "rated",
    direct: "RateLimited rate",
    inRun: "rate",
    audit: ["RateLimited", "rate"]
  },
  {
    name: "a hook",
    tool: "hooked",
    direct: "HookBlocked hook: no hooked",
    inRun: "HookBlocked hook: no hooked",
    audit: ["HookBlocked", "hook: no hooked"]
  },
  {
    name: "the app's tool policy",
    tool: "judged",
    direct: "ToolDenied approval: judged",
    inRun: "not this tool",
    audit: ["ToolDenied", "approval: judged"]
  },
  {
    name: "an approval that is denied",
    tool: "asking",
    decision: { decision: "deny", reason: "too much" },
    direct: "ToolDenied approval: asking",
    inRun: "too much",
    edited: undefined
  },
  {
    name: "an approval that is given",
    tool: "asking",
    decision: approve,
    direct: "done",
    inRun: "done",
    audit: ["allowed"]
  },
  {
    name: "an approval that others give",
    tool: "free",
    mark: (mark) => `big ${mark}`,
    direct: "waits",
    inRun: "waits"
  },
  {
    name: "a payload that does not fit",
    tool: "free",
    mark: () => 7,
    direct: "InvalidPayload",
    inRun: "ModelFailed",
    edited: "refused InvalidPayload"
  }
]

const ended = (run: Record<string, unknown> & { readonly error?: { readonly tag: string; readonly rule?: string } }) =>
  run.error === undefined
    ? String(run["output"])
    : `${run.error.tag} ${run.error.rule ?? ""}`.trim()

/** The end of a run. Where it waits for an approval its requester is refused, and the lead decides, who may not decide all. */
const decided = Effect.fnUntraced(function*(lab: Lab, runId: string, { decision }: Case) {
  const run = yield* lab.settled(runId)
  if (run.waitsFor !== "interrupt") return ended(run)
  for (const who of decision === undefined ? ["ann", "lead"] as const : ["ann"] as const) {
    const { status } = yield* lab.answer(who, run.runId, approve)
    if (status !== 403) return `${who} decides: ${status}`
  }
  if (decision === undefined) return "waits"
  yield* lab.answer("lead", run.runId, decision)
  return ended(yield* lab.settled(runId))
})

type Path = (lab: Lab, one: Case, mark: unknown) => Effect.Effect<string>

const inAgent = (path: string): Path =>
  Effect.fnUntraced(function*(lab, one, mark) {
    const { runId } = yield* lab.started(path, { tool: one.tool, mark })
    return yield* decided(lab, runId, one)
  })

/** A run that waits for a question before it calls the tool. */
const pausing = Effect.fnUntraced(function*(lab: Lab, { tool }: Case, mark: unknown) {
  const { runId } = yield* lab.started("/agents/uses/runs", { tool, mark, pauses: true })
  yield* lab.settled(runId)
  return runId
})

/** The end of a run that waits for the question, or that goes on from one. */
const goesOn = Effect.fnUntraced(function*(lab: Lab, one: Case, runId: string) {
  yield* lab.settled(runId)
  yield* lab.answer("ann", runId, { ...approve, value: true })
  return yield* decided(lab, runId, one)
})

let schedules = 0

const paths: Record<string, Path> = {
  direct: Effect.fnUntraced(function*(lab, one, mark) {
    const { response: { body, status, text }, runId } = yield* lab.started(`/tools/${one.tool}`, { mark })
    if (status >= 300) return [body.title, body.error.rule].join(" ").trim()
    return status === 202 ? yield* decided(lab, runId, one) : JSON.parse(text)
  }),
  agent: inAgent("/agents/uses/runs"),
  delegated: Effect.fnUntraced(function*(lab, one, mark) {
    const { runId } = yield* lab.started("/agents/boss/runs", { tool: one.tool, mark })
    const seen = yield* decided(lab, runId, one)
    const { body: { items: [child] } } = yield* lab.call("ann", "GET", `/runs?parentRunId=${runId}`)
    return seen === "waits" || seen.includes("decides") ? seen : ended(yield* lab.settled(child.runId))
  }),
  scheduled: Effect.fnUntraced(function*(lab, one, mark) {
    const id = `s${++schedules}`
    const made = { agent: "uses", cron: "0 0 1 1 *", payload: { tool: one.tool, mark } }
    yield* lab.call("ann", "PUT", `/schedules/${id}`, made)
    return yield* decided(lab, (yield* lab.started(`/schedules/${id}/run`, {})).runId, one)
  }),
  resumed: Effect.fnUntraced(function*(lab, one, mark) {
    return yield* goesOn(lab, one, yield* pausing(lab, one, mark))
  }),
  forked: Effect.fnUntraced(function*(lab, one, mark) {
    const origin = yield* pausing(lab, one, mark)
    return yield* goesOn(lab, one, (yield* lab.started(`/runs/${origin}/fork`, {})).runId)
  }),
  retried: Effect.fnUntraced(function*(lab, one, mark) {
    const origin = yield* pausing(lab, one, mark)
    yield* lab.call("ann", "POST", `/runs/${origin}/cancel`, {})
    return yield* goesOn(lab, one, (yield* lab.started(`/runs/${origin}/retry`, {})).runId)
  }),
  // The call is asked about, and its edit is a call of its own, which each policy sees.
  edited: Effect.fnUntraced(function*(lab, one, mark) {
    const { runId } = yield* lab.started("/agents/uses/runs", { tool: one.tool, mark: `ask ${String(mark)}` })
    const run = yield* lab.settled(runId)
    if (run.waitsFor !== "interrupt") return ended(run)
    const { body, status } = yield* lab.answer("lead", runId, { decision: "edit", value: { mark } })
    return status >= 300 ? `refused ${body.title}` : yield* decided(lab, runId, one)
  })
}

const check = Effect.fnUntraced(function*<E>(
  stores: Layer.Layer<RunStore.RunStore | Audit.Audit | ScheduleStore.ScheduleStore, E>
) {
  const lab = yield* serveTools(stores)
  assert.strictEqual((yield* lab.started("/tools/rated", { mark: "first" })).response.status, 200)
  const wrong: Array<string> = []
  let [last, cells] = [0, 0]
  const newEntries = Effect.gen(function*() {
    const { body } = yield* lab.call("lead", "GET", `/audit?order=oldest&limit=200&after=${last}`)
    last = body.items.at(-1)?.seq ?? last
    return body.items
  })
  for (const one of cases) {
    for (const [path, run] of Object.entries(paths)) {
      const cell = `${one.name}, ${path}`
      if (path === "edited" && "edited" in one && one.edited === undefined) continue
      const mark = `mark ${++cells}`
      yield* newEntries
      const seen = yield* run(lab, one, one.mark?.(mark) ?? mark)
      const inRun = path === "edited" ? one.edited ?? one.inRun : one.inRun
      const should = path === "direct" ? one.direct : inRun
      if (should === "done" ? seen !== should : !seen.includes(should)) wrong.push(`${cell}: ${seen}, not ${should}`)
      const times = lab.done.get(mark) ?? 0
      if (times !== (should === "done" ? 1 : 0)) wrong.push(`${cell}: the work was done ${times} times`)
      const { audit } = one
      if (audit === undefined) continue
      const entries: ReadonlyArray<Record<string, string>> = yield* newEntries
      // A call that was admitted as a run of its own has its refusal in the entry about the end of the run.
      const isThere = entries.some(({ action, decision, rule, target }) =>
        target === `tool/${one.tool}` && rule === audit[1] &&
        (decision === audit[0] || (path === "direct" && action === "run"))
      )
      if (!isThere) wrong.push(`${cell}: no entry ${audit.join(" ")} in ${JSON.stringify(entries)}`)
    }
  }
  assert.deepStrictEqual(wrong, [])
  assert.strictEqual(cells, 79)
})

const memory = Layer.mergeAll(
  RunStore.RunStore.layerMemory,
  Audit.layerMemory,
  ScheduleStore.ScheduleStore.layerMemory
)

const name = "a policy about a tool call has the same result on each path"

describe("tool calls on each path and store", () => {
  it.live(`${name}, in memory`, () => Effect.scoped(check(memory)), 60_000)
  it.live(
    `${name}, on SQLite`,
    () => Effect.scoped(check(Sqlite.layer({ filename: join(temporaryFolder(), "lab.db") }))),
    60_000
  )
})

PostgresServer.describeWithServer("tool calls on each path on PostgreSQL", () => {
  it.live(
    name,
    () => Effect.scoped(Effect.flatMap(PostgresServer.database, (url) => check(Postgres.layer({ url })))),
    60_000
  )
})

RedisServer.describeWithServer("tool calls on each path on Redis", () => {
  it.live(
    name,
    () => Effect.scoped(Effect.flatMap(RedisServer.options, (options) => check(Redis.layer(options)))),
    60_000
  )
})
