import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, Schema } from "effect"
import * as Model from "effect/ai/Model"
import { Agent, App } from "fastagentic"
import { ScriptedModel } from "fastagentic/effect-ai"
import { BraintrustScores, Evals, LangfuseScores, LangSmithFeedback, Scorer } from "fastagentic/evals"
import { Destination, Observability } from "fastagentic/observability"
import { join } from "node:path"
import { type Answered, type Asked, jsonServer } from "../jsonServer.ts"
import { vendors } from "../observability/destinations.ts"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"

const key = "key-that-nobody-may-see"
const secret = Redacted.make(key)

class Echo extends Agent.make("echo", { description: "Says what it gets", payload: { text: Schema.String } }) {}
class Desk extends App.make("scored", { version: "1", agents: [Echo] }).hook(Evals.Evals) {}

const polite = Scorer.make("polite", ({ output }) => String(output).includes("please") ? 1 : 0.25)
const broken = Scorer.make("broken", () => Effect.fail("a secret of the answer"))
const wrong = Scorer.make("wrong", () => 7)

const answers = ({ path }: Asked): Answered =>
  path.startsWith("/langsmith/sessions")
    ? { body: [{ id: "session-1" }] }
    : path === "/braintrust/v1/project"
    ? { body: { id: "project-1" } }
    : path.startsWith("/langfuse")
    ? { status: 207, body: { successes: [], errors: [] } }
    : { body: {} }

const serve = Effect.fnUntraced(function*(
  options: Omit<Evals.Options<never>, "sinks" | "allow">,
  answer: (asked: Asked) => Answered | "hang" = answers
) {
  const service = yield* Effect.acquireRelease(
    Effect.promise(() => jsonServer(answer)),
    ({ close }) => Effect.sync(close)
  )
  const collector = yield* Effect.acquireRelease(Effect.promise(() => vendors()), ({ close }) => Effect.sync(close))
  const lines: Array<string> = []
  const sinks = [
    LangfuseScores.make({ publicKey: "pk", secretKey: secret, baseUrl: `${service.url}/langfuse` }),
    LangSmithFeedback.make({ apiKey: secret, project: "desk", baseUrl: `${service.url}/langsmith` }),
    BraintrustScores.make({
      apiKey: secret,
      project: "desk",
      baseUrl: `${service.url}/braintrust`,
      timeout: "300 millis"
    })
  ]
  const handlers = Layer.mergeAll(
    Echo.toLayer(({ text }) => text === "fail" ? Effect.die("no") : Effect.succeed(`you said ${text}`)),
    Evals.layer({ ...options, sinks, allow: ["127.0.0.1"] }),
    Observability.layer({
      serviceName: "desk",
      allow: ["127.0.0.1"],
      destinations: [Destination.make({ name: "collector", url: `${collector.url}/v1/traces` })]
    })
  ).pipe(
    Layer.provideMerge(Logger.layer([Logger.map(Logger.formatJson, (line) => void lines.push(line))])),
    Layer.orDie
  )
  const { stop, url } = yield* onSqlite(Desk, handlers, join(temporaryFolder(), "scored.db"))
  const ask = (text: string) =>
    Effect.promise(async () => {
      const response = await fetch(`${url}/agents/echo`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ text })
      })
      return {
        status: response.status,
        runId: response.headers.get("x-run-id") ?? "",
        traceId: response.headers.get("x-trace-id") ?? ""
      }
    })
  const posts = (path: string) => service.asked.filter((one) => one.path.startsWith(path))
  const metrics = Effect.promise(async () => (await fetch(`${url}/metrics`)).text())
  return { ask, posts, lines, stop, metrics, collector }
})

const until = (condition: () => boolean) =>
  Effect.gen(function*() {
    for (let i = 0; i < 400; i++) {
      if (condition()) return
      yield* Effect.sleep(25)
    }
    assert.fail("it never came to be")
  })

describe("Evals", () => {
  it.live("a completed run is scored, and every sink gets the score under the run's ids, without its content", () =>
    Effect.gen(function*() {
      const desk = yield* serve({ scorers: [polite] })
      const { runId, status, traceId } = yield* desk.ask("please, a private word")
      assert.strictEqual(status, 200)
      yield* until(() =>
        desk.posts("/langfuse").length === 1 && desk.posts("/langsmith/feedback").length === 1 &&
        desk.posts("/braintrust/v1/project_logs").length === 1
      )
      const [langfuse] = desk.posts("/langfuse")
      assert.strictEqual(langfuse?.path, "/langfuse/api/public/ingestion")
      assert.strictEqual(langfuse?.headers.authorization, `Basic ${Buffer.from(`pk:${key}`).toString("base64")}`)
      assert.containSubset(langfuse?.body, {
        batch: [{
          type: "score-create",
          body: { id: `${runId}-polite`, traceId, name: "polite", value: 1, dataType: "NUMERIC" }
        }]
      })
      const [session] = desk.posts("/langsmith/sessions")
      assert.strictEqual(session?.path, "/langsmith/sessions?name=desk")
      const [feedback] = desk.posts("/langsmith/feedback")
      assert.strictEqual(feedback?.headers["x-api-key"], key)
      assert.containSubset(feedback?.body, {
        run_id: runId,
        trace_id: runId,
        session_id: "session-1",
        key: "polite",
        score: 1,
        feedback_source: { type: "api" }
      })
      const [row] = desk.posts("/braintrust/v1/project_logs")
      assert.strictEqual(row?.path, "/braintrust/v1/project_logs/project-1/insert")
      assert.containSubset(row?.body, { events: [{ id: runId, _is_merge: true, scores: { polite: 1 } }] })
      const sent = JSON.stringify(
        ["/langfuse", "/langsmith", "/braintrust"].flatMap((path) => desk.posts(path).map(({ body }) => body))
      )
      assert.notInclude(sent, "private word")
      yield* desk.stop
      const spans = desk.collector.spansAt("/v1/traces")
      const scored = spans.find(({ name }) => name === "evaluate polite")
      const run = spans.find(({ name }) => name === "invoke_agent echo")
      assert.strictEqual(scored?.traceId, traceId)
      assert.strictEqual(scored?.parentSpanId, run?.spanId)
      assert.containSubset(scored?.attributes, {
        "gen_ai.evaluation.name": "polite",
        "gen_ai.evaluation.score.value": 1
      })
    }))

  it.live("a scorer that fails or gives no score is counted and logged, and the others and the run do not notice", () =>
    Effect.gen(function*() {
      const desk = yield* serve({ scorers: [broken, wrong, polite] })
      assert.strictEqual((yield* desk.ask("hello")).status, 200)
      yield* until(() => desk.posts("/langfuse").length === 1)
      const metrics = yield* desk.metrics
      assert.match(metrics, /fastagentic_eval_scores_lost_total\{by="broken"\} 1/u)
      assert.match(metrics, /fastagentic_eval_scores_lost_total\{by="wrong"\} 1/u)
      assert.notInclude(desk.lines.join("\n"), "a secret of the answer")
      assert.strictEqual((yield* desk.ask("fail")).status, 500)
      yield* Effect.sleep(300)
      assert.strictEqual(desk.posts("/langfuse").length, 1)
    }))

  it.live("a sink that is unavailable is asked again, and one that refuses loses its score, counted", () =>
    Effect.gen(function*() {
      let count = 0
      const desk = yield* serve({ scorers: [polite] }, (asked) =>
        asked.path.startsWith("/langfuse") && count++ === 0
          ? { status: 503 }
          : asked.path === "/langsmith/feedback"
          ? { status: 401 }
          : asked.path.startsWith("/braintrust/v1/project_logs")
          ? "hang"
          : answers(asked))
      assert.strictEqual((yield* desk.ask("hello")).status, 200)
      yield* until(() => desk.posts("/langfuse").length === 2)
      yield* until(() => desk.lines.some((line) => line.includes("A score is lost") && line.includes("braintrust")))
      const metrics = yield* desk.metrics
      assert.match(metrics, /fastagentic_eval_scores_lost_total\{by="langsmith"\} 1/u)
      assert.match(metrics, /fastagentic_eval_scores_lost_total\{by="braintrust"\} 1/u)
      assert.strictEqual(desk.posts("/langsmith/feedback").length, 1)
      assert.notInclude(desk.lines.join("\n"), key)
    }))

  it.live("only the share of runs is scored, and none with a share of 0", () =>
    Effect.gen(function*() {
      const none = yield* serve({ scorers: [polite], sample: 0 })
      const some = yield* serve({ scorers: [polite], sample: 0.5 })
      for (let i = 0; i < 30; i++) yield* Effect.all([none.ask("hello"), some.ask("hello")])
      yield* Effect.sleep(500)
      assert.strictEqual(none.posts("/langfuse").length, 0)
      assert.isAbove(some.posts("/langfuse").length, 3)
      assert.isBelow(some.posts("/langfuse").length, 27)
      const error = yield* Effect.flip(Effect.scoped(Layer.build(Evals.layer({ scorers: [polite], sample: 2 }))))
      assert.include(error.message, "from 0 to 1")
    }))

  it.effect("a model judges by criteria, and its score is from 0 to 1", () =>
    Effect.gen(function*() {
      const judge = Scorer.judge("helpful", "Is the answer helpful?")
      const model = Model.make(
        "lab",
        "judge-1",
        ScriptedModel.layer([ScriptedModel.text("{\"explanation\":\"It answers.\",\"score\":0.75}")])
      )
      const judged = yield* judge.score({ runId: "r", agent: "echo", input: { text: "?" }, output: "yes" }).pipe(
        Effect.provide(model)
      )
      assert.deepStrictEqual(judged, { value: 0.75, explanation: "It answers." })
    }))
})
