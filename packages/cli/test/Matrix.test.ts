import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { once } from "node:events"
import { type By, type Case, cases, onSchedule, resume } from "./matrix/cases.ts"
import { done, lasting, lastingOnDisk, type Person, serve, type Served } from "./matrix/lab.ts"
import { openInterrupt, roundOf, stateOf } from "./matrix/rounds.ts"
import * as Transports from "./matrix/transports.ts"
import type { Outcome } from "./matrix/transports.ts"

const starting = Object.entries(Transports.transports)

let marks = 0

const headersOf = (lab: Served, by: By, traceId?: string): Record<string, string> => ({
  ...(by === "nobody"
    ? {}
    : { "x-api-key": by === "expired" ? lab.expired : by === "wrong" ? "wrong" : `key-of-${by}` }),
  ...(traceId === undefined ? {} : { traceparent: `00-${traceId}-b7ad6b7169203331-01` })
})

const callOf = (lab: Served, { agent, by, payload = (mark) => ({ mark }) }: Case, traceId?: string) => {
  const mark = `mark-${++marks}`
  return {
    mark,
    call: {
      url: lab.url,
      headers: headersOf(lab, by, traceId),
      agent,
      payload: payload(mark),
      key: `key-${mark}`,
      reader: headersOf(lab, by)
    }
  }
}

const newTrace = () => globalThis.crypto.randomUUID().replaceAll("-", "")

/** The newest audit entries of one trace, or those after a number, once the expected ones are there. */
const decisions = Effect.fn(function*(
  { audit }: Served,
  from: string | { readonly since: number },
  [wanted, rule]: NonNullable<Case["audit"]>
) {
  for (let tries = 0;; tries++) {
    const entries = yield* Effect.orDie(audit.page({ tenant: "acme", limit: 100 }))
    const found = entries.filter((entry) => typeof from === "string" ? entry.traceId === from : entry.seq > from.since)
    const isThere = found.some((entry) => entry.decision === wanted && entry.rule === rule)
    if (isThere || tries > 100) return found.map((entry) => [entry.decision, entry.rule].join(" ").trim())
    yield* Effect.sleep("10 millis")
  }
})

interface Waiting {
  readonly runId: string
  readonly mark: string
  readonly traceId: string
}

/** Runs that have waited since before the restart, one for each case that can be resumed. */
const paused = Effect.fnUntraced(function*(lab: Served) {
  const runs = new Map<string, Waiting>()
  for (const one of cases) {
    if (one.without?.[resume] !== undefined) continue
    const [mark, traceId] = [`mark-${++marks}`, newTrace()]
    const owner = ["nobody", "wrong", "expired"].includes(one.by) ? "ann" : one.by
    const { runId, tag } = yield* Effect.promise(() =>
      Transports.transports["REST, in the background"]?.({
        ...callOf(lab, one).call,
        headers: headersOf(lab, owner, traceId),
        reader: headersOf(lab, owner),
        payload: { mark, pause: true }
      }) ?? Promise.reject(new Error("no transport"))
    )
    assert.strictEqual(tag, "suspended", one.name)
    runs.set(one.name, { runId: runId ?? "", mark, traceId })
  }
  return runs
})

const resumed = async (lab: Served, one: Case, runId: string, traceId: string): Promise<Outcome> => {
  const owner = one.by === "nobody" || one.by === "wrong" || one.by === "expired" ? "ann" : one.by
  const id = await openInterrupt(lab, runId, owner)
  const { body, status } = await Transports.request(`${lab.url}/runs/${runId}/interrupts/${id}`, {
    method: "POST",
    headers: { ...Transports.json, ...headersOf(lab, one.by, traceId) },
    body: JSON.stringify({ decision: "approve", value: true })
  })
  if (status >= 300) return { tag: body.title, rule: body.error.rule, runId }
  return Transports.settled(lab.url, runId, headersOf(lab, owner))
}

/** The person who started the run of a case before the restart. */
const ownerOf = ({ by }: Case): Person => by === "nobody" || by === "wrong" || by === "expired" ? "ann" : by

/** A run that goes on from a waiting one, once its question is answered. */
const goingOn = async (lab: Served, one: Case, runId: string, way: "fork" | "retry", traceId: string) => {
  const { body, status } = await Transports.request(`${lab.url}/runs/${runId}/${way}`, {
    method: "POST",
    headers: { ...Transports.json, ...headersOf(lab, one.by, traceId) },
    body: "{}"
  })
  if (status >= 300) return { tag: body.title, rule: body.error.rule, runId }
  const started = await Transports.settled(lab.url, body.runId, headersOf(lab, ownerOf(one)))
  return started.tag === "suspended" ? resumed(lab, one, body.runId, traceId) : started
}

const forked = (lab: Served, one: Case, { runId }: Waiting, traceId: string) =>
  goingOn(lab, one, runId, "fork", traceId)

const retried = async (lab: Served, one: Case, { runId }: Waiting, traceId: string) => {
  await Transports.request(`${lab.url}/runs/${runId}/cancel`, {
    method: "POST",
    headers: { ...Transports.json, ...headersOf(lab, ownerOf(one)) },
    body: "{}"
  })
  return goingOn(lab, one, runId, "retry", traceId)
}

const paths = { forked, retried }

/** A schedule of the caller, started by hand; its runs act for the caller, in a trace of their own. */
const scheduled = async (lab: Served, one: Case, mark: string): Promise<Outcome> => {
  const headers = { ...Transports.json, ...headersOf(lab, one.by) }
  const { agent, payload = (mark) => ({ mark }) } = one
  const ask = async (method: string, path: string, body: unknown) => {
    const init = { method, headers, body: JSON.stringify(body) }
    const { body: answer, status } = await Transports.request(lab.url + path, init)
    return status >= 300 ? { tag: answer.title, rule: answer.error.rule, runId: undefined } : answer
  }
  const made = await ask("PUT", `/schedules/${mark.replace(" ", "-")}`, {
    agent,
    cron: "0 0 1 1 *",
    payload: payload(mark)
  })
  if ("tag" in made) return made
  const run = await ask("POST", `/schedules/${mark.replace(" ", "-")}/run`, {})
  return "tag" in run ? run : Transports.settled(lab.url, run.runId, headersOf(lab, one.by))
}

describe("one door", () => {
  it.live.each([["memory", lasting], ["SQLite", lastingOnDisk]] as const)(
    "the matrix of policies has the same decision on every transport and path, on %s",
    ([, store]) =>
      Effect.gen(function*() {
        const kept = yield* store
        const [before, toFork, toRetry] = yield* Effect.scoped(Effect.flatMap(
          serve(kept, false),
          (lab) => Effect.all([paused(lab), paused(lab), paused(lab)])
        ))
        const origins = { forked: toFork, retried: toRetry }
        const lab = yield* serve(kept, true)
        const differences: Array<string> = []
        const same = (cell: string, seen: unknown, wanted: unknown) => {
          if (JSON.stringify(seen) !== JSON.stringify(wanted)) {
            differences.push(`${cell}: ${JSON.stringify(seen)}, not ${JSON.stringify(wanted)}`)
          }
        }
        const check = Effect.fn(function*(
          one: Case,
          transport: string,
          mark: string,
          from: string | { readonly since: number },
          { rule, tag }: Pick<Outcome, "tag" | "rule">
        ) {
          const cell = `${one.name} / ${transport}`
          same(cell, tag, one.tag)
          same(`${cell} / rule`, rule, one.rule)
          same(`${cell} / work done`, done.get(mark) ?? 0, one.tag === "completed" ? 1 : 0)
          if (one.audit === undefined) return
          const said = yield* decisions(lab, from, one.audit)
          if (!said.includes(one.audit.join(" "))) same(`${cell} / audit`, said, one.audit)
        })
        for (const agent of ["few", "daily"]) {
          const used = { by: "spent", agent, name: "", tag: "" } as const
          yield* Effect.promise(() =>
            Transports.request(`${lab.url}/agents/${agent}`, {
              method: "POST",
              headers: headersOf(lab, "spent"),
              body: JSON.stringify(callOf(lab, used).call.payload)
            })
          )
        }

        for (const one of cases) {
          for (const [name, start] of starting) {
            if (one.without?.[name] !== undefined) continue
            const traceId = newTrace()
            const { call, mark } = callOf(lab, one, traceId)
            const { rule, tag } = yield* Effect.promise(() => start(call))
            yield* check(one, name, mark, traceId, { rule, tag })
          }
          if (one.without?.[onSchedule] === undefined) {
            const mark = `mark-${++marks}`
            const [last] = yield* Effect.orDie(lab.audit.page({ tenant: "acme", limit: 1 }))
            const outcome = yield* Effect.promise(() => scheduled(lab, one, mark))
            yield* check(one, onSchedule, mark, { since: last?.seq ?? 0 }, outcome)
          }
          const waiting = before.get(one.name)
          if (waiting === undefined) continue
          const traceId = newTrace()
          const { rule, tag } = yield* Effect.promise(() => resumed(lab, one, waiting.runId, traceId))
          // A refusal at the door belongs to the answer's trace, the end of a run to its own.
          const atDoor = one.tag === "Forbidden" || one.tag === "RateLimited"
          yield* check(one, resume, waiting.mark, atDoor ? traceId : waiting.traceId, { rule, tag })
          for (const path of ["forked", "retried"] as const) {
            const origin = origins[path].get(one.name)
            if (origin === undefined) continue
            const traceId = newTrace()
            const outcome = yield* Effect.promise(() => paths[path](lab, one, origin, traceId))
            yield* check(one, path, origin.mark, traceId, outcome)
          }
        }
        assert.deepStrictEqual(differences, [])
      }).pipe(Effect.scoped, Effect.orDie),
    60_000
  )

  it.live("an idempotency key of a caller is for one run, on every transport", () =>
    Effect.gen(function*() {
      const lab = yield* serve(yield* lasting, true)
      const plain = { name: "", by: "ann", agent: "plain", tag: "" } as const
      for (const [name, start] of starting) {
        const { call, mark } = callOf(lab, plain)
        const [first, second] = yield* Effect.promise(async () => [await start(call), await start(call)] as const)
        assert.deepStrictEqual([first.tag, second.tag, done.get(mark)], ["completed", "completed", 1], name)
        assert.strictEqual(second.runId, first.runId, name)
        const other = { ...call, payload: { mark: `${mark}-other` } }
        assert.strictEqual((yield* Effect.promise(() => start(other))).tag, "IdempotencyConflict", name)
        assert.isUndefined(done.get(`${mark}-other`), name)
        // Another caller's key is another key.
        const theirs = { ...call, headers: headersOf(lab, "eve"), reader: headersOf(lab, "eve") }
        assert.strictEqual((yield* Effect.promise(() => start(theirs))).tag, "completed", name)
        assert.strictEqual(done.get(mark), 2, name)
      }
    }).pipe(Effect.scoped), 60_000)

  it.live("a stopping server admits nothing new, on any transport", () =>
    Effect.gen(function*() {
      const lab = yield* serve(yield* lasting, true)
      yield* lab.runtime.drain
      const plain = { name: "", by: "ann", agent: "plain", tag: "" } as const
      for (const [name, start] of starting) {
        const { call, mark } = callOf(lab, plain)
        assert.strictEqual((yield* Effect.promise(() => start(call))).tag, "ShuttingDown", name)
        assert.isUndefined(done.get(mark), name)
      }
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "another caller's run is no run, for every operation and transport",
    () =>
      Effect.gen(function*() {
        const lab = yield* serve(yield* lasting, true)
        const { call, mark } = callOf(lab, {
          name: "",
          by: "ann",
          agent: "plain",
          tag: "",
          payload: (mark) => ({ mark, pause: true })
        })
        const asked = yield* Effect.promise(() => Transports.transports["REST, waiting"]?.(call) ?? Promise.reject())
        const runId = asked.runId ?? ""
        const id = yield* Effect.promise(() => openInterrupt(lab, runId, "ann"))
        for (
          const [by, tag] of [["nobody", "Unauthenticated"], ["wrong", "Unauthenticated"], ["bob", "RunNotFound"], [
            "eve",
            "RunNotFound"
          ]] as const
        ) {
          for (const run of [runId, globalThis.crypto.randomUUID()]) {
            const reported = yield* Effect.promise(() => everything(lab, by, run, id))
            assert.deepStrictEqual(
              Object.fromEntries(Object.entries(reported).filter(([, seen]) => seen !== tag)),
              {},
              `${by} and ${run === runId ? "a run of ann's" : "no run"}`
            )
          }
        }
        assert.isUndefined(done.get(mark))
        const run = yield* Effect.promise(() =>
          Transports.request(`${lab.url}/runs/${runId}`, { headers: headersOf(lab, "ann") })
        )
        assert.strictEqual(run.body.state, "suspended")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "who has asked does not approve, and who may says no, on each transport that takes decisions",
    () =>
      Effect.gen(function*() {
        const lab = yield* serve(yield* lasting, true)
        const pays = { name: "", by: "boss", agent: "pays", tag: "" } as const
        for (const answer of [restAnswer, socketAnswer, a2aAnswer, mcpAnswer, mcpRound]) {
          const { call, mark } = callOf(lab, pays)
          const { runId = "" } = yield* Effect.promise(() =>
            Transports.transports["REST, waiting"]?.(call) ?? Promise.reject()
          )
          const id = yield* Effect.promise(() => openInterrupt(lab, runId, "boss"))
          const traceId = newTrace()
          const own = yield* Effect.promise(() => answer(lab, headersOf(lab, "boss", traceId), runId, id, "approve"))
          assert.deepStrictEqual(own, { tag: "Forbidden", rule: "not the requester" }, answer.name)
          const said = yield* decisions(lab, traceId, ["Forbidden", "not the requester"])
          assert.include(said, "Forbidden not the requester", answer.name)
          // A2A tasks and MCP rounds belong to their owner: an approver of another's run answers elsewhere.
          const deny = answer === a2aAnswer || answer === mcpRound ? restAnswer : answer
          yield* Effect.promise(() => deny(lab, headersOf(lab, "lead"), runId, id, "deny"))
          const end = yield* Effect.promise(() => Transports.settled(lab.url, runId, headersOf(lab, "boss")))
          assert.strictEqual(end.tag, "ToolDenied", answer.name)
          assert.isUndefined(done.get(mark), answer.name)
        }
      }).pipe(Effect.scoped, Effect.orDie),
    60_000
  )
})

type Answer = (
  lab: Served,
  headers: Record<string, string>,
  runId: string,
  id: string,
  decision: "approve" | "deny"
) => Promise<Pick<Outcome, "tag" | "rule">>

const restAnswer: Answer = async (lab, headers, runId, id, decision) => {
  const { body } = await Transports.request(`${lab.url}/runs/${runId}/interrupts/${id}`, {
    method: "POST",
    headers: { ...Transports.json, ...headers },
    body: JSON.stringify({ decision })
  })
  return { tag: body.title ?? body.state, rule: body.error?.rule }
}

const socketAnswer: Answer = async (lab, headers, runId, id, decision) => {
  const frame = await frameOf(lab, headers, { op: "answer", runId, interruptId: id, decision })
  return { tag: frame.problem?.title ?? frame.run.state, rule: frame.problem?.error.rule }
}

const a2aAnswer: Answer = async (lab, headers, taskId, id, decision) => {
  const message = { messageId: id, taskId, role: "ROLE_USER", parts: [{ data: { id, decision } }] }
  const { body } = await Transports.request(
    `${lab.url}/a2a`,
    Transports.a2aRequest("SendMessage", { message }, headers)
  )
  return body.error === undefined
    ? { tag: body.result.task.status.state, rule: undefined }
    : Transports.a2aRefusal(body.error)
}

/** MCP before 2026-07-28: a client's answer to `elicitation/create`. */
const mcpAnswer: Answer = async (lab, headers, runId, id, decision) => {
  const content = { decision }
  const { body, status } = await Transports.request(`${lab.url}/mcp`, {
    method: "POST",
    headers: { ...Transports.json, ...headers, "mcp-protocol-version": "2025-06-18" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: `question:${runId}:1:${id}`,
      result: decision === "deny" ? { action: "decline" } : { action: "accept", content }
    })
  })
  return status === 202 ? { tag: "taken", rule: undefined } : { tag: body.error.data.tag, rule: body.error.data.rule }
}

const mcpRound: Answer = async (lab, headers, runId, id, decision) => {
  const { body: run } = await Transports.request(`${lab.url}/runs/${runId}`, { headers })
  const args = run.payload ?? {}
  const params = roundOf("pays", args, stateOf(runId, args), id, { decision })
  const { body } = await Transports.request(`${lab.url}/mcp`, Transports.mcpRequest("tools/call", params, headers))
  const { rule, tag } = Transports.mcpOutcome(body)
  return { tag, rule }
}

/** The answer to one frame, or to the upgrade that was refused. */
const frameOf = async (lab: Served, headers: Record<string, string>, frame: Record<string, unknown>) => {
  const ws = new NodeWS.WebSocket(`${lab.url.replace("http", "ws")}/ws`, { headers })
  try {
    const refused = new Promise<number>((resolve) =>
      ws.on("unexpected-response", (_, response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
    )
    const opened = await Promise.race([once(ws, "open"), refused])
    if (typeof opened === "number") return { problem: { title: opened === 401 ? "Unauthenticated" : String(opened) } }
    const answered = once(ws, "message")
    ws.send(JSON.stringify({ id: "1", ...frame }))
    return JSON.parse(String((await answered)[0]))
  } finally {
    ws.terminate()
  }
}

/** All that can be done to a run, with what each was answered. */
const everything = async (lab: Served, by: By, runId: string, id: string): Promise<Record<string, string>> => {
  const headers = headersOf(lab, by)
  const reported: Record<string, string> = {}
  const approve = JSON.stringify({ decision: "approve", value: true })
  const rest = [
    ["GET", `/runs/${runId}`],
    ["GET", `/runs/${runId}/events`],
    ["GET", `/runs/${runId}/interrupts`],
    ["GET", `/runs/${runId}/interrupts/${id}`],
    ["POST", `/runs/${runId}/interrupts/${id}`, approve],
    ["POST", `/runs/${runId}/cancel`, "{}"],
    ["POST", `/runs/${runId}/resume`, "{}"],
    ["GET", `/runs/${runId}/checkpoints`],
    ["POST", `/runs/${runId}/fork`, "{}"],
    ["POST", `/runs/${runId}/retry`, "{}"]
  ] as const
  for (const [method, path, body] of rest) {
    for (const accept of ["application/json", "text/event-stream"]) {
      const init = {
        method,
        headers: { ...Transports.json, ...headers, accept },
        ...(body === undefined ? {} : { body })
      }
      reported[`${method} ${path} ${accept}`] = (await Transports.request(lab.url + path, init)).body?.title
    }
  }
  for (const op of ["follow", "unfollow", "cancel", "answer", "resume", "fork", "retry", "checkpoints"]) {
    const more = op === "answer" ? { interruptId: id, decision: "approve", value: true } : {}
    reported[`WebSocket ${op}`] = (await frameOf(lab, headers, { op, runId, ...more })).problem?.title
  }
  const message = { messageId: "m", taskId: runId, role: "ROLE_USER", parts: [{ data: { id, decision: "approve" } }] }
  for (const method of ["GetTask", "CancelTask", "SubscribeToTask", "SendMessage", "SendStreamingMessage"]) {
    const params = method.startsWith("Send") ? { message } : { id: runId }
    const { body } = await Transports.request(`${lab.url}/a2a`, Transports.a2aRequest(method, params, headers))
    reported[`A2A ${method}`] = Transports.a2aRefusal(body.error).tag
  }
  reported["MCP elicitation"] = (await mcpAnswer(lab, headers, runId, id, "approve")).tag
  const round = Transports.mcpRequest(
    "tools/call",
    roundOf("plain", {}, stateOf(runId, {}), id, { value: true }),
    headers
  )
  reported["MCP round"] = Transports.mcpOutcome((await Transports.request(`${lab.url}/mcp`, round)).body).tag
  return reported
}

const Paths = Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Unknown))

describe("a caller without credentials", () => {
  it.live("only health, readiness, documents and cards answer without credentials", () =>
    Effect.gen(function*() {
      const lab = yield* serve(yield* lasting, true)
      const isOpen = (path: string) => ["/health", "/ready", "/openapi.json", "/docs"].includes(path)
      const document = yield* Effect.promise(() => Transports.request(`${lab.url}/openapi.json`))
      const paths = Schema.decodeUnknownSync(Paths)(document.body.paths)
      const routes = Object.entries(paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => [method.toUpperCase(), path.replaceAll(/\{\w+\}/gu, "x")] as const)
      )
      assert.isAbove(routes.length, 30)
      const answered: Array<string> = []
      for (const headers of [{}, { authorization: "Bearer wrong" }, { "x-api-key": "wrong" }]) {
        const seen = async (name: string, path: string, init: RequestInit) => {
          const { headers: reported, status } = await Transports.request(lab.url + path, init)
          if (status !== 401) answered.push(`${status} ${name}`)
          else if (!reported.get("www-authenticate")?.includes("ApiKey realm=\"agents\"")) {
            answered.push(`no challenge ${name}`)
          }
        }
        yield* Effect.promise(async () => {
          for (const [method, path] of routes) {
            if (isOpen(path)) continue
            await seen(`${method} ${path}`, path, { method, headers, ...(method === "GET" ? {} : { body: "{}" }) })
          }
          for (const path of ["/mcp", "/mcp/schema", "/ws"]) await seen(`GET ${path}`, path, { headers })
          await seen("DELETE /mcp", "/mcp", { method: "DELETE", headers })
          for (const method of mcpMethods) {
            await seen(
              `MCP ${method}`,
              "/mcp",
              Transports.mcpRequest(method, { name: "plain", uri: "lab://handbook" }, headers)
            )
          }
          for (const method of a2aMethods) {
            for (const path of ["/a2a", "/a2a/plain"]) {
              await seen(`A2A ${method}`, path, Transports.a2aRequest(method, { id: "x" }, headers))
            }
          }
        })
        assert.strictEqual(
          (yield* Effect.promise(() => frameOf(lab, headers, { op: "ping" }))).problem.title,
          "Unauthenticated"
        )
      }
      assert.deepStrictEqual(answered, [])
      const open = ["/health", "/ready", "/openapi.json", "/docs", "/.well-known/agent-card.json"]
      for (const path of open) {
        assert.strictEqual((yield* Effect.promise(() => Transports.request(lab.url + path))).status, 200, path)
      }
    }).pipe(Effect.scoped), 60_000)
})

const mcpMethods = [
  "initialize",
  "ping",
  "server/discover",
  "tools/list",
  "tools/call",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "resources/subscribe",
  "prompts/list",
  "prompts/get",
  "completion/complete",
  "logging/setLevel",
  "notifications/cancelled",
  "tasks/get",
  "tasks/cancel",
  "nothing"
]

const a2aMethods = [
  "SendMessage",
  "SendStreamingMessage",
  "GetTask",
  "ListTasks",
  "CancelTask",
  "SubscribeToTask",
  "GetExtendedAgentCard",
  "CreateTaskPushNotificationConfig",
  "GetTaskPushNotificationConfig",
  "ListTaskPushNotificationConfigs",
  "DeleteTaskPushNotificationConfig",
  "nothing"
]

describe("lists", () => {
  it.live("lists show what their reader may call", () =>
    Effect.gen(function*() {
      const lab = yield* serve(yield* lasting, true)
      const mcp = (method: string, headers: Record<string, string>) =>
        Transports.request(`${lab.url}/mcp`, Transports.mcpRequest(method, {}, headers))
      const lists = async (headers: Record<string, string>) => [
        (await mcp("tools/list", headers)).text,
        (await mcp("resources/list", headers)).text,
        (await mcp("prompts/list", headers)).text,
        (await Transports.request(`${lab.url}/mcp/schema`, { headers })).text,
        (await Transports.request(`${lab.url}/a2a`, Transports.a2aRequest("GetExtendedAgentCard", {}, headers))).text,
        (await Transports.request(`${lab.url}/agents`, { headers })).text,
        (await Transports.request(`${lab.url}/resources`, { headers })).text,
        (await Transports.request(`${lab.url}/prompts`, { headers })).text
      ]
      const [ann, desk] = yield* Effect.promise(() =>
        Promise.all([lists(headersOf(lab, "ann")), lists(headersOf(lab, "desk"))])
      )
      const hidden = /"(?:secret|handbook|greeting)"/u
      assert.deepStrictEqual(ann.map((text) => hidden.test(text)), ann.map(() => false))
      assert.deepStrictEqual(desk.map((text) => hidden.test(text)), desk.map(() => true))
      const card = (path: string) =>
        Effect.promise(() => Transports.request(`${lab.url}${path}/.well-known/agent-card.json`))
      assert.notMatch((yield* card("")).text, hidden)
      assert.include((yield* card("")).text, "\"plain\"")
      assert.deepStrictEqual([(yield* card("/a2a/secret")).status, (yield* card("/a2a/plain")).status], [404, 200])
      const call = Transports.mcpRequest(
        "tools/call",
        { name: "secret", arguments: { mark: "x" } },
        headersOf(lab, "ann")
      )
      const message = { messageId: "m", role: "ROLE_USER", parts: [{ data: { mark: "x" } }] }
      const send = Transports.a2aRequest(
        "SendMessage",
        { message, metadata: { skillId: "secret" } },
        headersOf(lab, "ann")
      )
      const rest = { method: "POST", headers: headersOf(lab, "ann"), body: JSON.stringify({ mark: "x" }) }
      const asked = [["/mcp", call], ["/a2a", send], ["/agents/secret", rest], ["/agents/secret/stream", rest]] as const
      for (const [path, init] of asked) {
        const refused = yield* Effect.promise(() => Transports.request(`${lab.url}${path}`, init))
        assert.strictEqual(refused.status, 403, path)
        assert.strictEqual(
          refused.headers.get("www-authenticate"),
          "Bearer realm=\"agents\", error=\"insufficient_scope\", scope=\"secret:read\"",
          path
        )
      }
    }).pipe(Effect.scoped))
})
