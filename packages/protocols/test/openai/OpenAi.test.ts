import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import OpenAI, { APIError } from "openai"
import { makeWorld, serveFront } from "../front/lab.ts"
import { by, people } from "../http/lab.ts"
import { get, json, post, text } from "../http/rest.ts"
import { sqliteIn } from "../stores.ts"

const clientOf = (url: string, apiKey = "none") => new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 1 })

const failing = (call: () => PromiseLike<unknown>) =>
  Effect.promise(async () => {
    try {
      await call()
    } catch (error) {
      if (error instanceof APIError) return error
      throw error
    }
    throw new Error("the call was not refused")
  })

const user = (content: string) => ({ role: "user" as const, content })

describe("The chat completions of OpenAI's client", () => {
  it.live("answer, whole and as a stream, with usage", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const client = clientOf(url)
      const whole = yield* Effect.promise(() =>
        client.chat.completions.create({ model: "talk", messages: [user("Where is order 7?")] })
      )
      const [choice] = whole.choices
      assert.strictEqual(choice?.message.content, "I look (0 messages before). \n\nOrder 7 is shipped.")
      assert.deepInclude(Object(choice?.message), { reasoning_content: "Let me see. An order." })
      assert.deepInclude(whole, { object: "chat.completion", model: "talk" })
      assert.strictEqual(choice?.finish_reason, "stop")
      assert.strictEqual(whole.usage?.total_tokens, 0)
      const streamed = yield* Effect.promise(async () => {
        const stream = client.chat.completions.stream({
          model: "talk",
          messages: [user("Where is order 7?")],
          stream_options: { include_usage: true }
        })
        const deltas: Array<string> = []
        stream.on("content", (delta) => deltas.push(delta))
        return { final: await stream.finalChatCompletion(), deltas }
      })
      assert.strictEqual(streamed.final.choices[0]?.message.content, choice?.message.content)
      assert.isAbove(streamed.deltas.length, 1)
      assert.strictEqual(streamed.final.usage?.total_tokens, 0)
    }).pipe(Effect.scoped))

  it.live("pass on what was said before, unless a thread has it", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const client = clientOf(url)
      const messages = [
        { role: "system" as const, content: "Be brief." },
        user("one"),
        { role: "assistant" as const, content: "two" },
        user("three")
      ]
      const letters = (metadata?: Record<string, string>) =>
        Effect.map(
          Effect.promise(() =>
            client.chat.completions.create({
              model: "count",
              messages,
              ...(metadata === undefined ? {} : { metadata })
            })
          ),
          ({ choices }) => choices[0]?.message.content
        )
      const said = "<conversation>\nsystem: Be brief.\nuser: one\nassistant: two\n</conversation>\n\nthree"
      assert.strictEqual(yield* letters(), `{"letters":${said.length}}`)
      assert.strictEqual(yield* letters({ thread_id: "t" }), "{\"letters\":5}")
      yield* Effect.promise(() =>
        client.chat.completions.create({ model: "talk", messages: [user("order 7")], metadata: { thread_id: "u" } })
      )
      const second = yield* Effect.promise(() =>
        client.chat.completions.create({ model: "talk", messages: [user("order 8")], metadata: { thread_id: "u" } })
      )
      assert.include(second.choices[0]?.message.content, "(2 messages before)")
    }).pipe(Effect.scoped))

  it.live("say what a run asks, and take the answer from the next message of the thread", () =>
    Effect.gen(function*() {
      const { url, world } = yield* serveFront()
      const client = clientOf(url)
      const ask = (model: string, content: string, thread: string) =>
        Effect.promise(() =>
          client.chat.completions.create({ model, messages: [user(content)], metadata: { thread_id: thread } })
        )
      const asked = yield* ask("talk", "refund order 7", "t")
      assert.match(
        asked.choices[0]?.message.content ?? "",
        /refund_order asks for approval: \{"orderId":7\}\. Answer approve/u
      )
      const unclear = yield* failing(() =>
        client.chat.completions.create({
          model: "talk",
          messages: [user("hm")],
          metadata: { thread_id: "t" }
        })
      )
      assert.deepInclude(unclear.error, { code: "InvalidPayload", type: "invalid_request_error" })
      assert.deepStrictEqual(world.refunds, [])
      const done = yield* ask("talk", "approve", "t")
      assert.strictEqual(done.choices[0]?.message.content, "Order 7 is refunded.")
      assert.deepStrictEqual(world.refunds, [7])
      yield* ask("greet", "Hi", "g")
      const greeted = yield* ask("greet", "Ann", "g")
      assert.strictEqual(greeted.choices[0]?.message.content, "Hello, Ann!")
    }).pipe(Effect.scoped))

  it.live("that come twice under a key start one run and answer one question", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const client = clientOf(url)
      const say = (content: string, idempotencyKey: string) =>
        client.chat.completions.create({
          model: "greet",
          messages: [user(content)],
          metadata: { thread_id: "twice" }
        }, { headers: { "Idempotency-Key": idempotencyKey } })
      const said = (content: string, key: string) =>
        Effect.map(
          Effect.promise(() => say(content, key)),
          ({ choices: [choice], id }) => [id, choice?.message.content]
        )
      const asked = yield* said("Hi", "start")
      assert.include(asked[1], "Who are you?")
      // The repeat of the message that started the run is no answer to the question that it led to.
      assert.deepStrictEqual(yield* said("Hi", "start"), asked)
      const other = yield* failing(() => say("Hello", "start"))
      assert.strictEqual(other.status, 409)
      const greeted = yield* said("Ann", "answer")
      assert.strictEqual(greeted[1], "Hello, Ann!")
      assert.deepStrictEqual(yield* said("Ann", "answer"), greeted)
      assert.deepStrictEqual(yield* said("Hi", "start").pipe(Effect.map(([id]) => id)), greeted[0])
      const changed = yield* failing(() => say("Eve", "answer"))
      assert.strictEqual(changed.status, 409)
      const { items } = yield* Effect.promise(async () =>
        Object(await (await fetch(`${url}/runs?threadId=twice`)).json())
      )
      assert.lengthOf(items, 1)
    }).pipe(Effect.scoped))

  it.live("say of a question that somebody else decides only that the run waits", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront({ auth: people })
      const asked = yield* Effect.promise(() =>
        clientOf(url, "key-of-ann").chat.completions.create({ model: "sign", messages: [user("please")] })
      )
      assert.strictEqual(
        asked.choices[0]?.message.content,
        "signature: the run waits for a decision of somebody else."
      )
      const others = yield* Effect.promise(() =>
        clientOf(url, "key-of-ben").chat.completions.create({ model: "sign", messages: [user("please")] })
      )
      assert.include(others.choices[0]?.message.content, "signature. Answer in this thread")
    }).pipe(Effect.scoped))

  it.live("are refused in OpenAI's shape, with the credentials, scopes and typed errors of every route", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront({ auth: people })
      const ann = clientOf(url, "key-of-ann")
      const ask = (client: OpenAI, model: string, content: string) =>
        failing(() => client.chat.completions.create({ model, messages: [user(content)] }))
      const nobody = yield* ask(clientOf(url, "wrong"), "talk", "hi 7")
      assert.deepInclude(nobody, { status: 401, code: "invalid_api_key", type: "authentication_error" })
      assert.include(nobody.headers?.get("www-authenticate") ?? "", "Bearer")
      assert.deepInclude(yield* ask(ann, "vault", "hi"), { status: 403, code: "Forbidden", type: "permission_error" })
      assert.deepInclude(yield* ask(ann, "nobody", "hi"), { status: 404, code: "model_not_found" })
      assert.deepInclude(yield* ask(ann, "add", "1 and 2"), { status: 400, code: "InvalidPayload" })
      const declared = yield* ask(ann, "talk", "Where is order 2007?")
      assert.deepInclude(declared, { status: 404, code: "NoOrder" })
      assert.deepInclude(Object(declared.error), { error: { _tag: "NoOrder", orderId: 2007 } })
      const streamed = yield* failing(async () => {
        const stream = await ann.chat.completions.create({
          model: "talk",
          messages: [user("Where is order 2007?")],
          stream: true
        })
        for await (const chunk of stream) void chunk
      })
      assert.strictEqual(streamed.code, "NoOrder")
      const big = yield* failing(() =>
        ann.chat.completions.create({ model: "talk", messages: [user("x".repeat(2_000_000))] })
      )
      assert.strictEqual(big.status, 413)
      const models = yield* Effect.promise(() => ann.models.list())
      assert.deepStrictEqual(models.data.map(({ id }) => id), [
        "talk",
        "greet",
        "show",
        "slow",
        "count",
        "sign",
        "interview",
        "page"
      ])
      assert.strictEqual((yield* Effect.promise(() => ann.models.retrieve("talk"))).owned_by, "front")
      assert.strictEqual((yield* failing(() => ann.models.retrieve("vault"))).status, 404)
    }).pipe(Effect.scoped))

  it.live("show content as Markdown, and take images and files", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const shown = yield* Effect.promise(() =>
        clientOf(url).chat.completions.create({
          model: "show",
          messages: [{
            role: "user",
            content: [
              { type: "text", text: "Look" },
              { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw==" } },
              { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERg==" } },
              { type: "image_url", image_url: { url: "https://example.com/a.png" } }
            ]
          }]
        })
      )
      const content = shown.choices[0]?.message.content ?? ""
      assert.include(content, "![one.png](")
      assert.include(content, "Look")
      assert.include(content, "[a.pdf](")
      assert.include(content, "[https://example.com/a.png](https://example.com/a.png)")
    }).pipe(Effect.scoped))
})

describe("The responses of OpenAI's client", () => {
  it.live("answer, whole and as a stream of events, with items for reasoning, tools and text", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const client = clientOf(url)
      const whole = yield* Effect.promise(() => client.responses.create({ model: "talk", input: "Where is order 7?" }))
      assert.strictEqual(whole.status, "completed")
      assert.deepStrictEqual(whole.output.map(({ type }) => type), ["reasoning", "message", "mcp_call", "message"])
      assert.strictEqual(whole.output_text, "I look (0 messages before). Order 7 is shipped.")
      assert.deepInclude(whole.output[2], { name: "find_order", arguments: "{\"orderId\":7}", status: "completed" })
      const streamed = yield* Effect.promise(async () => {
        const stream = client.responses.stream({ model: "talk", input: "Where is order 7?" })
        let text = ""
        stream.on("response.output_text.delta", ({ delta }) => {
          text += delta
        })
        return { final: await stream.finalResponse(), text }
      })
      assert.strictEqual(streamed.text, whole.output_text)
      assert.deepStrictEqual(streamed.final.output.map(({ type }) => type), whole.output.map(({ type }) => type))
      const found = yield* Effect.promise(() => client.responses.retrieve(whole.id))
      assert.deepStrictEqual(found.output, whole.output)
    }).pipe(Effect.scoped))

  it.live("keep a conversation by its id, and by the response before", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const client = clientOf(url)
      const one = yield* Effect.promise(() =>
        client.responses.create({ model: "talk", input: "order 7", conversation: "chat-1" })
      )
      assert.deepStrictEqual(one.conversation, { id: "chat-1" })
      const two = yield* Effect.promise(() =>
        client.responses.create({ model: "talk", input: "order 8", previous_response_id: one.id })
      )
      assert.include(two.output_text, "(2 messages before)")
      const alone = yield* Effect.promise(() => client.responses.create({ model: "talk", input: "order 9" }))
      const next = yield* Effect.promise(() =>
        client.responses.create({ model: "talk", input: "order 9", previous_response_id: alone.id })
      )
      assert.include(next.output_text, "(2 messages before)")
    }).pipe(Effect.scoped))

  it.live("ask for approvals and answers as items, and take them as input, also after a restart", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "openai-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const world = yield* makeWorld
      const asked = yield* Effect.scoped(Effect.gen(function*() {
        const { url } = yield* serveFront({ stores: sqliteIn(folder), world })
        return yield* Effect.promise(() => clientOf(url).responses.create({ model: "talk", input: "refund order 7" }))
      }))
      const request = asked.output.find(({ type }) => type === "mcp_approval_request")
      assert.deepInclude(request, { name: "refund_order", arguments: "{\"orderId\":7}" })
      const { url } = yield* serveFront({ stores: sqliteIn(folder), world })
      const client = clientOf(url)
      const answer = (approve: boolean) => ({
        model: "talk",
        previous_response_id: asked.id,
        input: [{ type: "mcp_approval_response" as const, approval_request_id: request?.id ?? "", approve }]
      })
      const done = yield* Effect.promise(() => client.responses.create(answer(true)))
      assert.deepStrictEqual(done.output.map(({ type }) => type), ["mcp_call", "message"])
      assert.strictEqual(done.output_text, "Order 7 is refunded.")
      assert.notStrictEqual(done.id, asked.id)
      const again = yield* Effect.promise(() => client.responses.create(answer(true)))
      assert.deepStrictEqual(again.output, done.output)
      assert.deepInclude(yield* failing(() => client.responses.create(answer(false))), {
        status: 409,
        code: "InterruptResolved"
      })
      assert.deepStrictEqual(world.refunds, [7])
      const greeting = yield* Effect.promise(() => client.responses.create({ model: "greet", input: "Hi" }))
      const call = greeting.output.find(({ type }) => type === "function_call")
      const greeted = yield* Effect.promise(() =>
        client.responses.create({
          previous_response_id: greeting.id,
          input: [{ type: "function_call_output", call_id: Object(call).call_id, output: "Ann" }]
        })
      )
      assert.strictEqual(greeted.output_text, "Hello, Ann!")
    }).pipe(Effect.scoped))

  it.live("work in the background, can be looked at and cancelled, and are their owner's", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront({ auth: people })
      const ann = clientOf(url, "key-of-ann")
      const begun = yield* Effect.promise(() => ann.responses.create({ model: "slow", input: "go", background: true }))
      assert.strictEqual(begun.status, "in_progress")
      for (const who of ["ben", "dan"]) {
        const other = clientOf(url, `key-of-${who}`)
        assert.strictEqual((yield* failing(() => other.responses.retrieve(begun.id))).status, 404)
        assert.strictEqual((yield* failing(() => other.responses.cancel(begun.id))).status, 404)
        const stolen = yield* failing(() =>
          other.responses.create({ model: "talk", input: "order 7", previous_response_id: begun.id })
        )
        assert.deepInclude(stolen, { status: 404, code: "RunNotFound" })
      }
      const cancelled = yield* Effect.promise(() => ann.responses.cancel(begun.id))
      assert.strictEqual(cancelled.status, "cancelled")
      const stored = yield* Effect.promise(() => ann.responses.retrieve(begun.id))
      assert.strictEqual(stored.status, "cancelled")
      for (const id of ["resp_x", "x", "resp_00000000-0000-0000-0000-000000000000"]) {
        assert.strictEqual((yield* failing(() => ann.responses.retrieve(id))).status, 404, id)
      }
    }).pipe(Effect.scoped))

  it.live("end a stream of a failed run with its error", () =>
    Effect.gen(function*() {
      const { url, world } = yield* serveFront()
      const client = clientOf(url)
      const events = yield* Effect.promise(async () => {
        const types: Array<string> = []
        const stream = await client.responses.create({ model: "talk", input: "order 2007", stream: true })
        for await (const event of stream) types.push(event.type)
        return types
      })
      assert.deepStrictEqual([events[0], events.at(-1)], ["response.created", "response.failed"])
      assert.deepInclude(yield* failing(() => client.responses.create({ model: "talk", input: "order 2007" })), {
        status: 404,
        code: "NoOrder"
      })
      yield* Deferred.succeed(world.gate, undefined)
    }).pipe(Effect.scoped))

  it.live("repeat under an idempotency key, and leave a run working whose reader is gone", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront({ auth: people })
      const key = { ...by("ann"), "idempotency-key": "one" }
      const bodies = yield* Effect.all(
        [1, 2, 3].map(() => Effect.flatMap(post(`${url}/v1/responses`, { model: "count", input: "four" }, key), json)),
        { concurrency: 3 }
      )
      assert.strictEqual(new Set(bodies.map(({ id }) => id)).size, 1)
      const controller = new AbortController()
      const response = yield* Effect.promise(() =>
        fetch(`${url}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json", ...by("ann") },
          body: JSON.stringify({ model: "slow", messages: [user("go")], stream: true }),
          signal: controller.signal
        })
      )
      const runId = response.headers.get("x-run-id") ?? ""
      controller.abort()
      assert.deepInclude(yield* json(yield* get(`${url}/runs/${runId}`, by("ann"))), { state: "running" })
      assert.strictEqual((yield* Effect.flatMap(get(`${url}/runs/${runId}`, by("dan")), text)).includes("slow"), false)
    }).pipe(Effect.scoped))
})
