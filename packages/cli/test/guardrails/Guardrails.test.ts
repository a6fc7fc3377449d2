import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Logger, Option, Predicate, Redacted, Schema } from "effect"
import * as Model from "effect/ai/Model"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { Agent, App, Hook, Run } from "fastagentic"
import { ModelLoop, ScriptedModel } from "fastagentic/effect-ai"
import { Guardrail, GuardrailsAi, Lakera, LiteLlm, Nemo, OpenAiModeration, type Provider } from "fastagentic/guardrails"
import { join } from "node:path"
import { type Answered, type Asked, jsonServer } from "../jsonServer.ts"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"

const key = "key-that-nobody-may-see"
const secret = Redacted.make(key)

class Closed extends Hook.make("shield", { timeout: "2 seconds" }) {}
class Open extends Hook.make("shield", { timeout: "2 seconds", onFailure: "open" }) {}

const Look = Tool.make("look_up", { parameters: Schema.Struct({ what: Schema.String }), success: Schema.String })
const Tools = Toolkit.make(Look)

const payload = { text: Schema.String, type: Schema.optionalKey(Schema.String) }
class Echo extends Agent.make("echo", { description: "Says what it gets", payload }) {}
class Talker extends Agent.make("talker", { description: "Streams what it gets", payload }) {}
class Asker extends Agent.make("asker", { description: "Asks a model", payload }) {}

const seenByTool: Array<string> = []
const handlers = Layer.mergeAll(
  Echo.toLayer(({ text }) => Effect.succeed(`you said ${text}`)),
  Talker.toLayer(Effect.fn(function*({ text }) {
    for (const word of text.match(/.{1,7}/gsu) ?? []) yield* Run.emit({ type: "token", data: { delta: word } })
    return "done"
  })),
  Asker.toLayer(({ text }) =>
    ModelLoop.run({ prompt: text, toolkit: Tools }).pipe(Effect.map(({ text }) => text), Effect.orDie)
  ).pipe(Layer.provide([
    Tools.toLayer({
      look_up: ({ what }) =>
        Effect.sync(() => {
          seenByTool.push(what)
          return `found ${what}`
        })
    }),
    Model.make(
      "lab",
      "big-1",
      ScriptedModel.layer(
        Array.from({ length: 10 }, () => [
          ScriptedModel.call("look_up", { what: "forbidden things" }),
          ScriptedModel.text("it is over")
        ]).flat()
      )
    )
  ]))
)

interface Serving {
  readonly provider: (url: string) => Provider.Provider
  readonly answer: (asked: Asked) => Answered | "hang"
  readonly on: Guardrail.Options["on"]
  readonly stream?: Guardrail.StreamPolicy
  readonly hook?: typeof Closed
}

const serve = Effect.fnUntraced(function*({ answer, hook = Closed, on, provider, stream }: Serving) {
  const service = yield* Effect.acquireRelease(
    Effect.promise(() => jsonServer(answer)),
    ({ close }) => Effect.sync(close)
  )
  const lines: Array<string> = []
  const app = App.make("guarded", { version: "1", agents: [Echo, Talker, Asker] }).hook(hook)
  const guard = Guardrail.layer(hook, provider(service.url), {
    on,
    allow: ["127.0.0.1"],
    ...(stream === undefined ? {} : { stream })
  })
  const { stop, url } = yield* onSqlite(
    app,
    Layer.mergeAll(handlers, guard).pipe(
      Layer.provideMerge(Logger.layer([Logger.map(Logger.formatJson, (line) => void lines.push(line))])),
      Layer.orDie
    ),
    join(temporaryFolder(), "guarded.db")
  )
  const ask = (agent: string, text: string, more: { readonly type?: string } = {}) =>
    Effect.promise(async () => {
      const response = await fetch(`${url}/agents/${agent}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ text, ...more })
      })
      const runId = response.headers.get("x-run-id") ?? ""
      const events = await (await fetch(`${url}/runs/${runId}/events`, { headers: { accept: "text/event-stream" } }))
        .text()
      return { status: response.status, text: await response.text(), events }
    })
  return { ask, stop, lines, asked: service.asked }
})

const textOf = (body: unknown) => JSON.stringify(body)

/** An answer with a result for each text, where the service gives one. */
const forEach = (body: unknown, answer: unknown) => {
  if (!Predicate.hasProperty(answer, "results") || !Predicate.hasProperty(body, "input")) return answer
  const [inputs, results]: ReadonlyArray<ReadonlyArray<unknown>> = [[body.input].flat(), [answer.results].flat()]
  return { results: inputs?.map(() => results?.[0]) }
}

/** One vendor: what it is asked, and its answers to a text that is fine, refused or changed. */
interface Vendor {
  readonly provider: (url: string) => Provider.Provider
  readonly path: string
  readonly headers: Record<string, string>
  readonly request: unknown
  readonly fine: unknown
  readonly refused: unknown
  readonly reason: string
  /** Its answer to "you said mail jo@example.com", which masks the address. */
  readonly changed?: unknown
}

const vendors: Record<string, Vendor> = {
  Lakera: {
    provider: (baseUrl) => Lakera.make({ apiKey: secret, baseUrl, projectId: "p-1" }),
    path: "/v2/guard",
    headers: { authorization: `Bearer ${key}` },
    request: {
      messages: [{ role: "user", content: "hello" }],
      payload: true,
      breakdown: true,
      project_id: "p-1"
    },
    fine: { flagged: false, payload: [], breakdown: [] },
    refused: {
      flagged: true,
      payload: [],
      breakdown: [{ detector_type: "prompt_attack", detected: true }, { detector_type: "pii/email", detected: false }]
    },
    reason: "lakera: flagged as prompt_attack",
    changed: {
      flagged: true,
      payload: [{ start: 14, end: 28, text: "jo@example.com", detector_type: "pii/email", labels: [], message_id: 0 }],
      breakdown: [{ detector_type: "pii/email", detected: true }]
    }
  },
  "OpenAI moderation": {
    provider: (baseUrl) => OpenAiModeration.make({ apiKey: secret, baseUrl }),
    path: "/moderations",
    headers: { authorization: `Bearer ${key}` },
    request: { model: "omni-moderation-latest", input: ["hello"] },
    fine: { results: [{ flagged: false, categories: { violence: false } }] },
    refused: { results: [{ flagged: true, categories: { violence: true, hate: false } }] },
    reason: "openai-moderation: flagged as violence"
  },
  "Guardrails AI": {
    provider: (baseUrl) => GuardrailsAi.make({ baseUrl, guard: "polite words" }),
    path: "/guards/polite%20words/validate",
    headers: {},
    request: { llm_output: "hello" },
    fine: { validationPassed: true, validatedOutput: "hello", validationSummaries: [] },
    refused: {
      validationPassed: false,
      validatedOutput: null,
      validationSummaries: [{ validatorName: "BanList", validatorStatus: "fail", failureReason: "banned" }]
    },
    reason: "guardrails-ai: validation failed: BanList",
    changed: { validationPassed: true, validatedOutput: "you said mail [MASKED EMAIL]" }
  },
  NeMo: {
    provider: (baseUrl) => Nemo.make({ baseUrl, configId: "desk", apiKey: secret }),
    path: "/v1/checks",
    headers: { authorization: `Bearer ${key}` },
    request: {
      model: "main",
      messages: [{ role: "user", content: "hello" }],
      guardrails: { config_id: "desk", rail_types: ["input"] }
    },
    fine: { status: "passed", content: "hello" },
    refused: { status: "blocked", content: "I cannot", rail: "self check input" },
    reason: "nemo-guardrails: blocked by self check input",
    changed: { status: "modified", content: "you said mail [MASKED EMAIL]" }
  },
  "LiteLLM's protocol": {
    provider: (baseUrl) => LiteLlm.make({ baseUrl, apiKey: secret, params: { threshold: 0.5 } }),
    path: "/beta/litellm_basic_guardrail_api",
    headers: { authorization: `Bearer ${key}` },
    request: {
      texts: ["hello"],
      request_data: {},
      input_type: "request",
      additional_provider_specific_params: { threshold: 0.5 }
    },
    fine: { action: "NONE" },
    refused: { action: "BLOCKED", blocked_reason: "not here" },
    reason: "litellm-guardrail: not here",
    changed: { action: "GUARDRAIL_INTERVENED", texts: ["you said mail [MASKED EMAIL]"] }
  }
}

describe("Guardrails", () => {
  for (const [name, vendor] of Object.entries(vendors)) {
    it.live(`${name} judges input in its own request, and refuses and changes what it says so of`, () =>
      Effect.gen(function*() {
        const guarded = yield* serve({
          provider: vendor.provider,
          on: ["input"],
          answer: ({ body }) => ({
            body: forEach(body, textOf(body).includes("attack") ? vendor.refused : vendor.fine)
          })
        })
        const fine = yield* guarded.ask("echo", "hello")
        assert.include(fine.text, "you said hello")
        const [asked] = guarded.asked
        assert.strictEqual(asked?.path, vendor.path)
        assert.containSubset(asked?.body, vendor.request)
        assert.containSubset(asked?.headers, vendor.headers)
        const refused = yield* guarded.ask("echo", "an attack")
        assert.strictEqual(refused.status, 403, refused.text)
        assert.include(refused.text, vendor.reason)
        assert.include(refused.events, "hook_decision")
        assert.include(refused.events, vendor.reason)
        assert.strictEqual((yield* guarded.ask("echo", "hello", { type: "an attack" })).status, 403)
        if (vendor.changed === undefined) return
        const changing = yield* serve({
          provider: vendor.provider,
          on: ["output"],
          answer: () => ({ body: vendor.changed })
        })
        const changed = yield* changing.ask("echo", "mail jo@example.com")
        assert.include(changed.text, "you said mail [MASKED EMAIL]")
        assert.notInclude(changed.events.split("run_started").at(-1) ?? "", "said mail jo@")
        assert.include(changed.events, "\"decision\":\"modify\"")
      }))
  }

  it.live("streamed text is held back until it is judged, also a phrase that no single window has whole", () =>
    Effect.gen(function*() {
      const guarded = yield* serve({
        provider: vendors["LiteLLM's protocol"]?.provider ?? assert.fail,
        on: ["output"],
        stream: { every: 40, overlap: 20 },
        answer: ({ body }) => ({
          body: textOf(body).includes("forbidden words") ? { action: "BLOCKED" } : { action: "NONE" }
        })
      })
      const fine = yield* guarded.ask("talker", "a".repeat(100))
      assert.strictEqual(fine.status, 200, fine.text)
      const [texts] = guarded.asked.map(({ body }) => textOf(body))
      assert.include(texts, "a".repeat(40))
      const long = `${"b".repeat(33)} forbidden words ${"c".repeat(60)}`
      const refused = yield* guarded.ask("talker", long)
      assert.strictEqual(refused.status, 403, refused.text)
      assert.notInclude(refused.events, "ccc")
      const said = [...refused.events.matchAll(/"delta":"([^"]*)"/gu)].map(([, delta]) => delta).join("")
      assert.isTrue(long.startsWith(said))
      assert.notInclude(said, "words")
      const whole = yield* serve({
        provider: vendors["LiteLLM's protocol"]?.provider ?? assert.fail,
        on: ["output"],
        stream: "whole",
        answer: ({ body }) => ({
          body: textOf(body).includes("forbidden") ? { action: "BLOCKED" } : { action: "NONE" }
        })
      })
      const nothing = yield* whole.ask("talker", `${"d".repeat(200)} forbidden`)
      assert.strictEqual(nothing.status, 403)
      assert.notInclude(nothing.events, "\"type\":\"token\"")
    }))

  it.live("arguments are judged before a tool is called, and results before the model sees them", () =>
    Effect.gen(function*() {
      seenByTool.length = 0
      const provider = vendors["LiteLLM's protocol"]?.provider ?? assert.fail
      const before = yield* serve({
        provider,
        on: ["tool_arguments"],
        answer: ({ body }) => ({
          body: textOf(body).includes("forbidden") ? { action: "BLOCKED", blocked_reason: "no" } : { action: "NONE" }
        })
      })
      const refused = yield* before.ask("asker", "?")
      assert.include(refused.events, "litellm-guardrail: no")
      assert.deepStrictEqual(seenByTool, [])
      const after = yield* serve({
        provider,
        on: ["tool_result"],
        answer: () => ({ body: { action: "GUARDRAIL_INTERVENED", texts: ["found nothing"] } })
      })
      const changed = yield* after.ask("asker", "?")
      assert.strictEqual(changed.status, 200, changed.text)
      assert.deepStrictEqual(seenByTool, ["forbidden things"])
      assert.include(changed.events, "found nothing")
      assert.notInclude(changed.events, "found forbidden things")
      const prompted = yield* serve({
        provider,
        on: ["prompt"],
        answer: ({ body }) => ({ body: { action: textOf(body).includes("attack") ? "BLOCKED" : "NONE" } })
      })
      assert.notStrictEqual((yield* prompted.ask("asker", "an attack")).status, 200)
    }))

  const unjudged: ReadonlyArray<readonly [vendor: string, answer: unknown, reason: string]> = [
    ["OpenAI moderation", { results: [] }, "the hook shield failed"],
    ["NeMo", { status: "modified" }, "the hook shield failed"],
    ["Lakera", {
      flagged: true,
      payload: [{ start: 90, end: 99, detector_type: "pii/email" }],
      breakdown: [{ detector_type: "pii/email", detected: true }]
    }, "lakera: flagged as pii/email"],
    ["Lakera", {
      flagged: true,
      payload: [{ start: 0, end: 5, detector_type: "pii/name" }],
      breakdown: [{ detector_type: "pii/name", detected: true }, { detector_type: "pii/email", detected: true }]
    }, "lakera: flagged as pii/name, pii/email"]
  ]
  for (const [name, answer, reason] of unjudged) {
    it.live(`a text passes a closed hook by no answer of ${name} that leaves it unjudged: ${textOf(answer)}`, () =>
      Effect.gen(function*() {
        const { ask } = yield* serve({
          provider: vendors[name]?.provider ?? assert.fail,
          on: ["input"],
          answer: () => ({ body: answer })
        })
        const refused = yield* ask("echo", "hello")
        assert.strictEqual(refused.status, 403, refused.text)
        assert.include(refused.text, reason)
      }))
  }

  const failures: Record<string, Answered | "hang"> = {
    "answers 401": { status: 401 },
    "answers 422": { status: 422 },
    "answers 429": { status: 429, headers: { "retry-after": "1" } },
    "answers 500": { status: 500 },
    "answers what is no JSON of its contract": { body: { verdict: "fine" } },
    hangs: "hang"
  }
  for (const [how, answer] of Object.entries(failures)) {
    it.live(`a service that ${how} refuses with a closed hook, lets pass with an open one, and is in the journal`, () =>
      Effect.gen(function*() {
        const provider = (baseUrl: string) => Lakera.make({ apiKey: secret, baseUrl, timeout: "300 millis" })
        const closed = yield* serve({ provider, on: ["input"], answer: () => answer })
        const refused = yield* closed.ask("echo", "hello")
        assert.strictEqual(refused.status, 403, refused.text)
        assert.include(refused.text, "the hook shield failed")
        assert.include(refused.events, "\"decision\":\"block\"")
        const open = yield* serve({ provider, on: ["input", "output"], answer: () => answer, hook: Open })
        const passed = yield* open.ask("echo", "hello")
        assert.strictEqual(passed.status, 200, passed.text)
        assert.include(passed.text, "you said hello")
        assert.include(passed.events, "\"decision\":\"allow\"")
        const logged = [...closed.lines, ...open.lines].join("\n")
        assert.include(logged, "lakera")
        assert.notInclude(logged, key)
        assert.notInclude(logged, "you said")
      }))
  }

  it.live("a service that fails five times in a row is not asked any more, and calls end at once", () =>
    Effect.gen(function*() {
      const guarded = yield* serve({
        provider: (baseUrl) => Lakera.make({ apiKey: secret, baseUrl }),
        on: ["input"],
        answer: () => ({ status: 503 }),
        hook: Open
      })
      for (let i = 0; i < 8; i++) assert.strictEqual((yield* guarded.ask("echo", `hello ${i}`)).status, 200)
      assert.strictEqual(guarded.asked.length, 5)
      assert.include(guarded.lines.join("\n"), "is not asked")
    }))

  it.live("a hook whose service is not configured does nothing", () =>
    Effect.gen(function*() {
      const off = yield* Lakera.fromConfig.pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { LAKERA_API_KEY: "" } })))
      )
      assert.isTrue(Option.isNone(off))
      const app = App.make("guarded", { version: "1", agents: [Echo] }).hook(Closed)
      const { url } = yield* onSqlite(
        app,
        Layer.mergeAll(handlers, Guardrail.layer(Closed, Effect.succeedNone, { on: ["input", "output"] })).pipe(
          Layer.orDie
        ),
        join(temporaryFolder(), "off.db")
      )
      const response = yield* Effect.promise(() =>
        fetch(`${url}/agents/echo`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: "{\"text\":\"hello\"}"
        })
      )
      assert.strictEqual(response.status, 200)
    }))
})
