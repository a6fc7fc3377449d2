import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Agent, App, Audit, Auth, Budget, RateLimit, Redaction, Run, Server, Sqlite } from "fastagentic"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { urlOf } from "./serving.ts"

const secret = `sk-proj-${"aB3".repeat(12)}`

class Asker extends Agent.make("asker", {
  description: "Asks for a value",
  payload: { wait: Schema.Boolean },
  success: Schema.Int
}) {}

const Lab = App.make("lab", { version: "1", agents: [Asker] }).hook(Redaction.Redaction)

const seen: Array<string> = []

const AskerLayer = Asker.toLayer(Effect.fn(function*({ wait }) {
  yield* Run.emit({ type: "custom", data: { name: `custom ${secret}`, value: 1 } })
  yield* Run.emit({ type: "checkpoint", data: { checkpointId: "1", node: `node ${secret}`, format: "f", bytes: 1 } })
  yield* Run.emit({ type: "node_enter", data: { nodeId: "1", name: `name ${secret}` }, path: [`graph ${secret}`] })
  yield* Run.emit({ type: "tool_start", data: { toolCallId: "1", name: `tool ${secret}`, arguments: {} } })
  yield* Run.step(`step ${secret}`, Run.emit({ type: "token", data: { delta: "inside" } }).pipe(Effect.as(1)))
  if (wait) return yield* Effect.never
  const value = yield* Effect.orDie(
    Run.interrupt(`question ${secret}`, { schema: Schema.String, message: `say ${secret}` })
  )
  seen.push(value)
  return value.length
}))

const start = Effect.suspend(() =>
  Effect.map(
    Layer.build(
      Server.layer(Lab, { port: 0, grace: "200 millis" }).pipe(Layer.provide([
        AskerLayer,
        Redaction.layer(),
        Auth.layerNone,
        Sqlite.layer({ filename: join(temporaryFolder(), "lab.db") }),
        Audit.layerMemory,
        Budget.layerUnlimited,
        RateLimit.layerUnlimited
      ]))
    ),
    urlOf
  )
)

const call = (url: string, body?: unknown) =>
  Effect.promise(async () => {
    const headers = { "content-type": "application/json", accept: "application/json" }
    const response = await fetch(
      url,
      body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) }
    )
    return { text: await response.text(), runId: response.headers.get("x-run-id") ?? "" }
  })

const clean = (what: string, text: string) => {
  assert.notInclude(text, secret.slice(0, 16), what)
  assert.include(text, "[redacted: api-key]", what)
}

describe("texts that leave a run with a guard", () => {
  it.live("names, questions, decisions and reasons pass it on their way to every reader, and the handler gets them whole", () =>
    Effect.gen(function*() {
      const url = yield* start
      const { runId, text } = yield* call(`${url}/agents/asker`, { wait: false })
      clean("the suspended run", text)
      const listed = yield* call(`${url}/runs/${runId}/interrupts`)
      clean("the questions of a run", listed.text)
      clean("the open questions", (yield* call(`${url}/interrupts`)).text)
      const [id] = /[0-9a-f]{8}-[0-9a-f-]{27}/u.exec(/"id":"[^"]+"/u.exec(listed.text)?.[0] ?? "") ?? []
      const answer = { decision: "approve", value: `take ${secret}`, reason: `because ${secret}` }
      yield* call(`${url}/runs/${runId}/interrupts/${id}`, answer)
      const other = yield* call(`${url}/runs/${runId}/interrupts/${id}`, { decision: "deny" })
      clean("a late decision", other.text)
      const journal = yield* call(`${url}/runs/${runId}/events`)
      clean("the journal", journal.text)
      for (const type of ["custom", "checkpoint", "node_enter", "tool_start", "interrupt", "interrupt_resolved"]) {
        assert.include(journal.text, `"type":"${type}"`)
      }
      clean("the checkpoints", (yield* call(`${url}/runs/${runId}/checkpoints`)).text)
      clean("the decided questions", (yield* call(`${url}/runs/${runId}/interrupts`)).text)
      clean("the audit log", (yield* call(`${url}/audit`)).text)
      assert.deepStrictEqual(seen, [`take ${secret}`])
    }).pipe(Effect.scoped))

  it.live("the reason of a cancellation passes it in the journal and in the audit log", () =>
    Effect.gen(function*() {
      const url = yield* start
      const started = yield* call(`${url}/agents/asker/runs`, { wait: true })
      yield* call(`${url}/runs/${started.runId}/cancel`, { reason: `no ${secret}` })
      const journal = yield* call(`${url}/runs/${started.runId}/events`)
      assert.include(journal.text, "run_cancelled")
      clean("the journal", journal.text)
      clean("the audit log", (yield* call(`${url}/audit`)).text)
    }).pipe(Effect.scoped))
})
