import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { messagesIn, modern, open, post, serveAsker } from "./asker.ts"
import { by, lasting } from "./asking.ts"

const host = { name: "host", arguments: {} }
const form = { elicitation: {} }
const last = <A>({ messages }: { readonly messages: ReadonlyArray<A> }) => messages[messages.length - 1]
const accepted = { action: "accept", content: { name: "Ada" } }

describe("The question of a delegated run", () => {
  it.live("is a round of the call on 2026-07-28, long before the call would give up", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const started = Date.now()
      const { result } = last(yield* modern(url, "tools/call", host, { capabilities: form }))
      assert.isBelow(Date.now() - started, 10_000)
      assert.strictEqual(result.resultType, "input_required", JSON.stringify(result))
      const [key = ""] = Object.keys(result.inputRequests)
      assert.include(result.inputRequests[key].params.message, "Your name?")
      const more = { ...host, requestState: result.requestState, inputResponses: { [key]: accepted } }
      const done = last(yield* modern(url, "tools/call", more, { capabilities: form }))
      assert.strictEqual(done.result?.content[0].text, "welcome Ada", JSON.stringify(done))
    }).pipe(Effect.scoped))

  it.live("is asked on the stream of the call before", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const session = yield* open(url, form)
      const response = yield* Effect.promise(() =>
        fetch(url, {
          method: "POST",
          headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...session },
          body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: host })
        })
      )
      const text = yield* Effect.promise(async () => {
        let [read, answered] = ["", false]
        const decoder = new TextDecoder()
        for await (const chunk of response.body ?? []) {
          read += decoder.decode(chunk, { stream: true })
          const question = messagesIn(read).find(({ method }) => method === "elicitation/create")
          if (question === undefined || answered) continue
          answered = true
          await Effect.runPromise(post(url, { jsonrpc: "2.0", id: question.id, result: accepted }, session))
        }
        return read
      })
      assert.strictEqual(messagesIn(text).at(-1).result?.content[0].text, "welcome Ada", text)
    }).pipe(Effect.scoped))

  it.live("is an input request of the task, and answered with tasks/update", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const tasks = { extensions: { "io.modelcontextprotocol/tasks": {} } }
      const { result: task } = last(yield* modern(url, "tools/call", host, { capabilities: tasks }))
      assert.strictEqual(task.resultType, "task", JSON.stringify(task))
      const { taskId } = task
      const both = { capabilities: { ...tasks, ...form } }
      const get = Effect.map(modern(url, "tasks/get", { taskId }, both), (reply) => last(reply).result)
      const asking = yield* get
      assert.strictEqual(asking.status, "input_required", JSON.stringify(asking))
      const [key = ""] = Object.keys(asking.inputRequests)
      yield* modern(url, "tasks/update", { taskId, inputResponses: { [key]: accepted } }, both)
      yield* Effect.sleep("500 millis")
      const done = yield* get
      assert.strictEqual(done.result?.content[0].text, "welcome Ada", JSON.stringify(done))
    }).pipe(Effect.scoped))

  it.live("is in the result of a client without forms, and answered with answer_run by the run of the call", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const { result } = last(yield* modern(url, "tools/call", host))
      const error = result._meta["fastagentic/error"]
      assert.deepInclude(error, { _tag: "RunSuspended" }, JSON.stringify(result))
      assert.strictEqual(error.interrupts.length, 1)
      const answer = {
        name: "answer_run",
        arguments: { runId: error.runId, decision: "approve", value: { name: "Ada" } }
      }
      const others = last(yield* modern(url, "tools/call", answer, { headers: by("bob") }))
      assert.strictEqual(others.result._meta["fastagentic/error"]._tag, "RunNotFound")
      const done = last(yield* modern(url, "tools/call", answer))
      assert.strictEqual(done.result?.content[0].text, "welcome Ada", JSON.stringify(done))
    }).pipe(Effect.scoped))
})
