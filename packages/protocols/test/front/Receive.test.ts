import { HttpAgent } from "@ag-ui/client"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import OpenAI from "openai"
import { Chat, textOf } from "../ai-sdk/chat.ts"
import { by, people } from "../http/lab.ts"
import { as, get, post, Run, text } from "../http/rest.ts"
import { sqliteIn } from "../stores.ts"
import { serveFront } from "./lab.ts"

const Page = Schema.Struct({
  items: Schema.Array(Schema.Struct({ ...Run.fields, waitsFor: Schema.optionalKey(Schema.String) }))
})

const runsOf = (url: string) =>
  Effect.map(Effect.flatMap(get(`${url}/runs?agent=interview`), as(Page)), ({ items }) => items)

const send = (chat: Chat, text: string) => Effect.promise(() => chat.sendMessage({ text }))

const chatBody = (id: string, message: string, text: string) => ({
  id,
  messages: [{ id: message, role: "user", parts: [{ type: "text", text }] }]
})

const sendBody = (url: string, body: unknown) => Effect.flatMap(post(`${url}/agents/interview/chat`, body), text)

describe("A message of a chat whose run waits for one", () => {
  it.live("is received by the run over the AI SDK, and its answer is a message of its own", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/interview/chat`, id: "c-1" })
      yield* send(chat, "Hi")
      assert.strictEqual(chat.status, "ready")
      yield* send(chat, "Ada")
      yield* send(chat, "London")
      assert.deepStrictEqual(chat.messages.map((message) => [message.role, textOf(message)]), [
        ["user", "Hi"],
        ["assistant", "Your name? "],
        ["user", "Ada"],
        ["assistant", "Hello, Ada! Your town? "],
        ["user", "London"],
        ["assistant", "Ada of London."]
      ])
      assert.strictEqual(new Set(chat.messages.map(({ id }) => id)).size, 6)
      assert.strictEqual((yield* runsOf(url)).length, 1)
      // The run has ended: the next message starts another.
      yield* send(chat, "Again")
      assert.strictEqual(textOf(chat.lastMessage), "Your name? ")
      assert.strictEqual((yield* runsOf(url)).length, 2)
    }).pipe(Effect.scoped))

  it.live("is received once, however often and from wherever it comes", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      yield* sendBody(url, chatBody("c-2", "m-1", "Hi"))
      const ada = chatBody("c-2", "m-2", "Ada")
      const together = yield* Effect.all([sendBody(url, ada), sendBody(url, ada), sendBody(url, ada)], {
        concurrency: "unbounded"
      })
      for (const body of [...together, yield* sendBody(url, ada)]) {
        assert.include(body, "Hello, Ada! Your town? ")
        assert.notInclude(body, "Your name?")
      }
      assert.include(yield* sendBody(url, chatBody("c-2", "m-3", "London")), "Ada of London.")
      // Repeats of all messages after the end of the run are still its messages.
      assert.include(yield* sendBody(url, ada), "Hello, Ada! Your town? ")
      assert.notInclude(yield* sendBody(url, ada), "of London")
      assert.include(yield* sendBody(url, chatBody("c-2", "m-3", "London")), "Ada of London.")
      const first = yield* sendBody(url, chatBody("c-2", "m-1", "Hi"))
      assert.include(first, "Your name? ")
      assert.notInclude(first, "Hello, Ada")
      assert.strictEqual((yield* runsOf(url)).length, 1)
      // So they are while another run of the chat waits for a message.
      yield* sendBody(url, chatBody("c-2", "m-4", "Again"))
      assert.include(yield* sendBody(url, ada), "Hello, Ada! Your town? ")
      assert.include(yield* sendBody(url, chatBody("c-2", "m-5", "Bob")), "Hello, Bob! Your town? ")
      assert.strictEqual((yield* runsOf(url)).length, 2)
    }).pipe(Effect.scoped))

  it.live("is not received again when its answer is wanted again, nor is the message that started the run", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/interview/chat`, id: "c-7" })
      yield* send(chat, "Hi")
      yield* Effect.promise(() => chat.regenerate())
      assert.strictEqual(textOf(chat.lastMessage), "Your name? ")
      yield* send(chat, "Ada")
      yield* Effect.promise(() => chat.regenerate())
      assert.strictEqual(textOf(chat.lastMessage), "Hello, Ada! Your town? ")
      yield* send(chat, "London")
      assert.strictEqual(textOf(chat.lastMessage), "Ada of London.")
      const agent = new HttpAgent({ url: `${url}/agents/interview/ag-ui`, threadId: "t-7" })
      agent.addMessage({ id: "m-1", role: "user", content: "Hi" })
      for (const _ of [1, 2]) {
        agent.setMessages(agent.messages.slice(0, 1))
        // Each is another run of AG-UI.
        yield* Effect.promise(() => agent.runAgent())
        assert.strictEqual(agent.messages.at(-1)?.content, "Your name? ")
      }
      assert.strictEqual((yield* runsOf(url)).length, 2)
    }).pipe(Effect.scoped))

  it.live("reaches the run that waits for it also before a line of many others", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      yield* sendBody(url, chatBody("c-8", "m-1", "Hi"))
      for (let one = 0; one < 11; one++) {
        const { status } = yield* post(`${url}/agents/interview/runs`, { text: "Later" }, { "x-thread-id": "c-8" })
        assert.strictEqual(status, 202)
      }
      assert.include(yield* sendBody(url, chatBody("c-8", "m-2", "Ada")), "Hello, Ada! Your town? ")
    }).pipe(Effect.scoped))

  it.live("is shown with the turns before it when the page is opened again, and the newest turn resumes", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/interview/chat`, id: "c-3" })
      yield* send(chat, "Hi")
      yield* send(chat, "Ada")
      const response = yield* get(`${url}/agents/interview/chat/c-3`)
      const { messages } = yield* Effect.promise(() => response.json())
      const again = new Chat({ api: `${url}/agents/interview/chat`, id: "c-3", messages })
      yield* Effect.promise(() => again.resumeStream())
      assert.deepStrictEqual(again.messages.map((message) => [message.role, textOf(message)]), [
        ["user", "Hi"],
        ["assistant", "Your name? "],
        ["user", "Ada"],
        ["assistant", "Hello, Ada! Your town? "]
      ])
      assert.deepStrictEqual(
        again.messages.filter(({ role }) => role === "assistant").map(({ id }) => id),
        chat.messages.filter(({ role }) => role === "assistant").map(({ id }) => id)
      )
      yield* send(again, "London")
      assert.strictEqual(textOf(again.lastMessage), "Ada of London.")
    }).pipe(Effect.scoped))

  it.live("is received over AG-UI, where the wait is the end of a run", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const agent = new HttpAgent({ url: `${url}/agents/interview/ag-ui` })
      const say = (content: string) =>
        Effect.promise(async () => {
          agent.addMessage({ id: crypto.randomUUID(), role: "user", content })
          await agent.runAgent()
          const last = agent.messages.at(-1)
          return last?.role === "assistant" ? last.content : undefined
        })
      assert.strictEqual(yield* say("Hi"), "Your name? ")
      assert.deepStrictEqual(agent.pendingInterrupts, [])
      assert.strictEqual(yield* say("Ada"), "Hello, Ada! Your town? ")
      // The same message in another run of AG-UI is not received again.
      agent.setMessages(agent.messages.slice(0, -1))
      yield* Effect.promise(() => agent.runAgent())
      assert.strictEqual(yield* say("London"), "Ada of London.")
      assert.strictEqual((yield* runsOf(url)).length, 1)
    }).pipe(Effect.scoped))

  it.live("is received over both APIs of OpenAI", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 })
      const say = (content: string) =>
        Effect.promise(() =>
          client.chat.completions.create({
            model: "interview",
            metadata: { thread_id: "t-1" },
            messages: [{ role: "user", content }]
          })
        )
      const first = yield* say("Hi")
      assert.strictEqual(first.choices[0]?.finish_reason, "stop")
      assert.strictEqual(first.choices[0]?.message.content, "Your name? ")
      assert.strictEqual((yield* say("Ada")).choices[0]?.message.content, "Hello, Ada! Your town? ")
      assert.strictEqual((yield* say("London")).choices[0]?.message.content, "Ada of London.")
      const respond = (input: string, previous?: string) =>
        Effect.promise(() =>
          client.responses.create({
            model: "interview",
            input,
            ...(previous === undefined ? {} : { previous_response_id: previous })
          })
        )
      const asked = yield* respond("Hi")
      assert.deepInclude(Object(asked), { status: "completed", output_text: "Your name? " })
      const named = yield* respond("Bob", asked.id)
      assert.strictEqual(named.output_text, "Hello, Bob! Your town? ")
      const ended = yield* respond("Oslo", named.id)
      assert.strictEqual(ended.output_text, "Bob of Oslo.")
      // A response that is read later is the turn that it was.
      const later = yield* Effect.promise(() => client.responses.retrieve(named.id))
      assert.deepInclude(Object(later), { status: "completed", output_text: "Hello, Bob! Your town? " })
      assert.strictEqual((yield* runsOf(url)).length, 2)
    }).pipe(Effect.scoped))

  it.live("waits behind the run when it waits for something that no text is, and is refused when it does not fit", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      yield* sendBody(url, chatBody("c-4", "m-1", "Hi, with a date"))
      const long = yield* post(`${url}/agents/interview/chat`, chatBody("c-4", "m-2", "x".repeat(101)))
      assert.strictEqual(long.status, 400)
      const photo = { type: "file", mediaType: "image/png", url: "data:image/png;base64,AAAA" }
      const file = yield* post(`${url}/agents/interview/chat`, {
        id: "c-4",
        messages: [{ id: "m-3", role: "user", parts: [photo] }]
      })
      assert.strictEqual(file.status, 400)
      yield* sendBody(url, chatBody("c-4", "m-4", "Ada"))
      yield* sendBody(url, chatBody("c-4", "m-5", "London"))
      const [run] = yield* runsOf(url)
      assert.deepInclude(run, { state: "suspended", waitsFor: "signal" })
      const behind = yield* Effect.forkChild(sendBody(url, chatBody("c-4", "m-6", "2026")))
      yield* Effect.repeat(Effect.delay(runsOf(url), 20), { until: ({ length }) => length === 2 })
      yield* post(`${url}/runs/${run?.runId}/signals/date`, { year: 2026 })
      const body = yield* Fiber.join(behind)
      assert.include(body, "Your name? ")
    }).pipe(Effect.scoped))

  it.live("of another caller reaches no run of a thread that is not theirs", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront({ auth: people })
      const as = (who: string, message: string, words: string) =>
        Effect.flatMap(
          post(`${url}/agents/interview/chat`, chatBody("c-5", message, words), by(who)),
          text
        )
      yield* as("ann", "m-1", "Hi")
      assert.include(yield* as("ben", "m-2", "Mallory"), "Your name? ")
      assert.include(yield* as("ann", "m-3", "Ada"), "Hello, Ada!")
    }).pipe(Effect.scoped))

  it.live("is received after a restart on SQLite", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "receive-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      yield* Effect.scoped(Effect.gen(function*() {
        const { url } = yield* serveFront({ stores: sqliteIn(folder) })
        yield* sendBody(url, chatBody("c-6", "m-1", "Hi"))
      }))
      const { url } = yield* serveFront({ stores: sqliteIn(folder) })
      assert.include(yield* sendBody(url, chatBody("c-6", "m-2", "Ada")), "Hello, Ada! Your town? ")
      assert.strictEqual((yield* runsOf(url)).length, 1)
    }).pipe(Effect.scoped))
})
