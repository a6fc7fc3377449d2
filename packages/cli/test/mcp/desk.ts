import { Effect, Layer, Schedule, Schema, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import { Agent, App, type Run, type Server } from "fastagentic"
import { join } from "node:path"
import { McpRemote } from "../../src/mcp.ts"
import { finish } from "../looping.ts"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"

export class Shop extends McpRemote.Service<Shop>()("shop") {}

export const loopback = { egress: { allow: ["127.0.0.1"] } }

export class Desk extends Agent.make("desk", {
  description: "Works at a desk",
  payload: { question: Schema.String },
  success: Schema.Json
}) {}

export class Office extends App.make("office", { version: "1", agents: [Desk] }) {}

/** A model that answers by what it was given last: a call for a question, words for results. */
export const deciding = (
  decide: (last: Prompt.Message, prompt: Prompt.Prompt) => { readonly call: string; readonly args: unknown } | string,
  seen: Array<{ readonly tools: ReadonlyArray<unknown> }> = []
): Layer.Layer<LanguageModel.LanguageModel> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: () => Effect.die(new Error("this model streams only")),
      streamText: ({ prompt, tools }) => {
        seen.push({ tools: tools.map(({ description, name }) => ({ description, name })) })
        const last = prompt.content.at(-1)
        const decided = last === undefined ? "" : decide(last, prompt)
        const parts: ReadonlyArray<Response.StreamPartEncoded> = typeof decided === "string"
          ? [
            { type: "text-start", id: "1" },
            { type: "text-delta", id: "1", delta: decided },
            { type: "text-end", id: "1" },
            finish("stop")
          ]
          : [
            { type: "tool-call", id: "1", name: decided.call, params: decided.args, providerExecuted: false },
            finish("tool-calls")
          ]
        return Stream.fromIterable(parts)
      }
    })
  )

/** The content of a message, as text. */
export const textOf = (message: Prompt.Message): string => JSON.stringify(message.content)

const Items = Schema.Struct({ items: Schema.Array(Schema.Record(Schema.String, Schema.Json)) })

type Handler = (
  question: string
) => Effect.Effect<Schema.Json, never, Shop | LanguageModel.LanguageModel | Run.CurrentRun>

/** An office on a database of its own. */
export const openOffice = Effect.fnUntraced(function*(
  handler: Handler,
  remote: Parameters<typeof McpRemote.layer<Shop>>[1],
  model: Layer.Layer<LanguageModel.LanguageModel>,
  options: Server.Options & { readonly filename?: string } = {}
) {
  const { filename = join(temporaryFolder(), "office.db"), ...more } = options
  const handlers = Desk.toLayer(({ question }) => handler(question)).pipe(
    Layer.provide([Layer.orDie(McpRemote.layer(Shop, remote)), model])
  )
  const { stop, url } = yield* onSqlite(Office, handlers, filename, more)
  const call = (method: "GET" | "POST", path: string, body?: unknown) =>
    Effect.promise(async () => {
      const response = await fetch(url + path, {
        method,
        headers: { accept: "application/json", "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const json: unknown = await response.json()
      return { status: response.status, body: json }
    })
  const list = (path: string) =>
    Effect.flatMap(call("GET", path), ({ body }) => Effect.orDie(Schema.decodeUnknownEffect(Items)(body))).pipe(
      Effect.map(({ items }) => items)
    )
  const ask = (question = "?") => call("POST", "/agents/desk", { question })
  const interrupts = list("/interrupts")
  const results = Effect.gen(function*() {
    const [run] = yield* list("/runs")
    const events = yield* list(`/runs/${String(run?.["runId"])}/events`)
    return events.filter(({ type }) => type === "tool_result").map(({ data }) => data)
  })
  /** Answers the open question. */
  const answer = (answer: unknown) =>
    Effect.flatMap(
      interrupts,
      ([question]) =>
        call("POST", `/runs/${String(question?.["runId"])}/interrupts/${String(question?.["id"])}`, answer)
    )
  /** The last run, once it has ended. */
  const ended = Effect.gen(function*() {
    const [run] = yield* list("/runs")
    const found = (yield* call("GET", `/runs/${String(run?.["runId"])}`)).body
    if (!/"state":"(completed|failed|cancelled)"/u.test(JSON.stringify(found))) return yield* Effect.fail("it is open")
    return found
  }).pipe(Effect.retry({ times: 100, schedule: Schedule.spaced("50 millis") }), Effect.orDie)
  return { url, stop, call, list, ask, interrupts, answer, ended, results, filename }
})
