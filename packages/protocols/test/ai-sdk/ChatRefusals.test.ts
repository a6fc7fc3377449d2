import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeWorld, serveFront } from "../front/lab.ts"
import { by, people } from "../http/lab.ts"
import { get, json, post, text } from "../http/rest.ts"
import { sqliteIn } from "../stores.ts"
import { approvalIn, Chat, shape, textOf } from "./chat.ts"

const send = (chat: Chat, text: string) => Effect.promise(() => chat.sendMessage({ text }))

const message = (text: string, id = "m-1") => ({ id, role: "user", parts: [{ type: "text", text }] })

/** The chunks of a stream. */
const chunksOf = (body: string): ReadonlyArray<Record<string, unknown>> =>
  body.split("\n\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)))

const pause = (millis: number) => Effect.promise(() => new Promise<void>((go) => setTimeout(go, millis)))

describe("The chat route of the AI SDK", () => {
  it.live("refuses callers without credentials, without scopes and of other tenants as every route does", () =>
    Effect.gen(function*() {
      const { url, world } = yield* serveFront({ auth: people })
      const nobody = yield* post(`${url}/agents/talk/chat`, { id: "c", messages: [message("hi 7")] })
      assert.strictEqual(nobody.status, 401)
      assert.include(nobody.headers.get("www-authenticate") ?? "", "Bearer")
      const denied = yield* post(`${url}/agents/vault/chat`, { id: "c", messages: [message("hi")] }, by("ann"))
      assert.strictEqual(denied.status, 403)
      const chat = new Chat({ api: `${url}/agents/talk/chat`, id: "c", headers: by("ann") })
      yield* send(chat, "refund order 7")
      const [id] = approvalIn(chat.lastMessage)
      const runId = String(id).split(".")[0]
      for (const who of ["ben", "dan"]) {
        const stream = yield* get(`${url}/agents/talk/chat/c/stream`, by(who))
        assert.strictEqual(stream.status, 204, who)
        assert.deepStrictEqual(yield* json(yield* get(`${url}/agents/talk/chat/c`, by(who))), { messages: [] })
        const answer = { ...chat.lastMessage, parts: answered(chat, true) }
        const decided = yield* post(`${url}/agents/talk/chat`, { id: "c", messages: [answer] }, by(who))
        assert.deepInclude(yield* json(decided), { title: "RunNotFound", status: 404 }, who)
        const stopped = yield* Effect.promise(() =>
          fetch(`${url}/agents/talk/chat/c/stream`, { method: "DELETE", headers: by(who) })
        )
        assert.strictEqual(stopped.status, 404, who)
      }
      assert.deepStrictEqual(world.refunds, [])
      // Cleo sees the run, and her own chat of this name is another one.
      assert.strictEqual((yield* get(`${url}/agents/talk/chat/c/stream`, by("cleo"))).status, 204)
      const other = yield* post(`${url}/agents/talk/chat`, {
        id: "other",
        messages: [{ ...chat.lastMessage, parts: answered(chat, true) }]
      }, by("ann"))
      assert.strictEqual((yield* json(other))["title"], "RunNotFound")
      const forAnn = yield* json(yield* get(`${url}/runs/${runId}`, by("ann")))
      assert.strictEqual(forAnn["state"], "suspended")
    }).pipe(Effect.scoped))

  it.live("offers a decision only to those who may take it, and refuses it to others", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront({ auth: people })
      const chat = new Chat({ api: `${url}/agents/sign/chat`, id: "c", headers: by("ann") })
      yield* send(chat, "Please")
      const approval = chat.lastMessage?.parts.find(({ type }) => type === "data-approval")
      assert.deepInclude(Object(approval).data, { name: "signature", mayDecide: false })
      const call = chat.lastMessage?.parts.find((part) => part.type === "dynamic-tool")
      assert.deepInclude(call, { state: "input-available", providerExecuted: true })
      const answer = {
        ...chat.lastMessage,
        parts: [{ ...call, state: "output-available", output: "Ann" }]
      }
      const refused = yield* post(`${url}/agents/sign/chat`, { id: "c", messages: [answer] }, by("ann"))
      assert.strictEqual(refused.status, 403)
      const [runId, id] = String(Object(approval).id).split(".")
      const signed = yield* post(
        `${url}/runs/${runId}/interrupts/${id}`,
        { decision: "approve", value: "Cleo" },
        by("cleo")
      )
      assert.isBelow(signed.status, 300)
      yield* Effect.promise(() => chat.resumeStream())
      assert.strictEqual(textOf(chat.lastMessage), "Signed by Cleo.")
      assert.strictEqual(chat.messages.length, 2)
    }).pipe(Effect.scoped))

  it.live("takes a message once, however often it arrives, also at the same time", () =>
    Effect.gen(function*() {
      const { url, world } = yield* serveFront()
      const body = { id: "c", messages: [message("refund order 7")] }
      const bodies = yield* Effect.all(
        Array.from({ length: 5 }, () => Effect.flatMap(post(`${url}/agents/talk/chat`, body), text)),
        { concurrency: 5 }
      )
      const ids = new Set(bodies.map((one) => chunksOf(one)[0]?.["messageId"]))
      assert.strictEqual(ids.size, 1)
      const [first] = bodies
      for (const one of bodies) assert.deepStrictEqual(texts(one), texts(first ?? ""))
      const edited = yield* Effect.flatMap(
        post(`${url}/agents/talk/chat`, {
          id: "d",
          messages: [message("Where is order 7?")]
        }),
        text
      )
      const again = yield* Effect.flatMap(
        post(`${url}/agents/talk/chat`, {
          id: "d",
          messageId: "m-1",
          messages: [message("Where is order 8?")]
        }),
        text
      )
      assert.include(texts(edited), "Order 7 is shipped.")
      assert.include(texts(again), "Order 8 is shipped.")
      assert.deepStrictEqual(world.refunds, [])
    }).pipe(Effect.scoped))

  it.live("takes the same decision from two tabs once, and refuses another one", () =>
    Effect.gen(function*() {
      const { url, world } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/talk/chat`, id: "c" })
      yield* send(chat, "refund order 7")
      const decide = (approved: boolean) =>
        post(`${url}/agents/talk/chat`, {
          id: "c",
          messages: [...chat.messages.slice(0, -1), { ...chat.lastMessage, parts: answered(chat, approved) }],
          messageId: chat.lastMessage?.id
        })
      const [one, two] = yield* Effect.all([
        Effect.flatMap(decide(true), text),
        Effect.flatMap(decide(true), text)
      ], { concurrency: 2 })
      assert.include(texts(one), "Order 7 is refunded.")
      assert.strictEqual(texts(two), texts(one))
      assert.deepStrictEqual(world.refunds, [7])
      const late = yield* decide(false)
      assert.strictEqual(late.status, 409)
      assert.strictEqual((yield* json(late))["title"], "InterruptResolved")
    }).pipe(Effect.scoped))

  it.live("continues after a restart of the server: the approval, and the stream of an answer", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "front-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const world = yield* makeWorld
      const messages = yield* Effect.scoped(Effect.gen(function*() {
        const { url } = yield* serveFront({ stores: sqliteIn(folder), world })
        const chat = new Chat({ api: `${url}/agents/talk/chat`, id: "c" })
        yield* send(chat, "refund order 7")
        return chat.messages
      }))
      const { url } = yield* serveFront({ stores: sqliteIn(folder), world })
      const fresh = new Chat({ api: `${url}/agents/talk/chat`, id: "c" })
      yield* Effect.promise(() => fresh.resumeStream())
      assert.deepStrictEqual(shape(fresh.lastMessage), shape(messages.at(-1)))
      const chat = new Chat({ api: `${url}/agents/talk/chat`, id: "c", messages })
      const [id = ""] = approvalIn(chat.lastMessage)
      yield* Effect.promise(async () => {
        await chat.addToolApprovalResponse({ id, approved: true })
        await chat.sendMessage()
      })
      assert.isTrue(textOf(chat.lastMessage).endsWith("Order 7 is refunded."))
      assert.deepStrictEqual(world.refunds, [7])
      // The other client sees the whole answer, whose steps are those of its questions.
      yield* Effect.promise(() => fresh.resumeStream())
      assert.deepStrictEqual(shape(fresh.lastMessage), shape(chat.lastMessage))
      assert.strictEqual(textOf(fresh.lastMessage), textOf(chat.lastMessage))
    }).pipe(Effect.scoped))

  it.live("ends with the agent's own error, typed for programs", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const data: Array<unknown> = []
      const chat = new Chat({ api: `${url}/agents/talk/chat`, onData: (part) => data.push(part) })
      yield* send(chat, "Where is order 2007?")
      assert.strictEqual(chat.status, "error")
      assert.strictEqual(chat.error?.message, "There is no order 2007.")
      const [error] = data
      assert.deepInclude(Object(error).data, { tag: "NoOrder", status: 404, value: { _tag: "NoOrder", orderId: 2007 } })
    }).pipe(Effect.scoped))

  it.live("carries content both ways: data of files, links, images and data", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/show/chat` })
      yield* Effect.promise(() =>
        chat.sendMessage({
          text: "Look",
          files: [
            { type: "file", mediaType: "image/png", filename: "a.png", url: "data:image/png;base64,iVBORw==" },
            { type: "file", mediaType: "text/plain", url: "data:text/plain,caf%C3%A9" },
            { type: "file", mediaType: "text/html", url: "https://example.com/page" }
          ]
        })
      )
      assert.strictEqual(chat.error, undefined)
      assert.deepStrictEqual(shape(chat.lastMessage), ["file", "file", "file", "source-url", "text"])
      const urls = chat.lastMessage?.parts.flatMap((part) => part.type === "file" ? [part.url] : []) ?? []
      const [image = "", again = "", plain = ""] = yield* Effect.forEach(urls, (address) =>
        Effect.promise(async () =>
          Buffer.from(await (await fetch(address)).arrayBuffer()).toString("base64")
        ))
      assert.deepStrictEqual([image, again, plain], ["iVBORw==", "iVBORw==", Buffer.from("café").toString("base64")])
    }).pipe(Effect.scoped))

  it.live("gives an answer that is no text as data", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/count/chat` })
      yield* send(chat, "four")
      const output = chat.lastMessage?.parts.find(({ type }) => type === "data-output")
      assert.deepInclude(output, { data: { letters: 4 } })
    }).pipe(Effect.scoped))

  it.live("names the remedy for an agent that takes no message, and for messages that no agent takes", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const refused = yield* json(yield* post(`${url}/agents/add/chat`, { id: "c", messages: [message("1 and 2")] }))
      assert.strictEqual(refused["title"], "InvalidPayload")
      assert.include(String(refused["detail"]), "Give the payload one required string field or one Content.List")
      const bodies = [
        {},
        { messages: [] },
        { messages: [null] },
        { messages: [{ role: "user" }] },
        { messages: [{ id: "s", role: "system", parts: [] }] },
        { messages: [{ id: "a", role: "assistant", parts: [{ type: "text", text: "hm" }] }] },
        {
          messages: [{
            id: "a",
            role: "assistant",
            parts: [{ type: "tool-x", state: "output-available", toolCallId: "ask." }]
          }]
        }
      ]
      for (const body of bodies) {
        const response = yield* post(`${url}/agents/talk/chat`, body)
        assert.strictEqual(response.status, 400, JSON.stringify(body))
        assert.include(["BadBody", "InvalidPayload"], (yield* json(response))["title"])
      }
      const unknown = yield* post(`${url}/agents/nobody/chat`, { messages: [message("hi")] })
      assert.strictEqual(unknown.status, 404)
      const empty = yield* post(`${url}/agents/talk/chat`, { messages: [message("")] })
      assert.strictEqual((yield* json(empty))["title"], "InvalidPayload")
      const huge = yield* post(`${url}/agents/talk/chat`, { messages: [message("x".repeat(2_000_000))] })
      assert.strictEqual(huge.status, 413)
      const rest = yield* post(`${url}/agents/talk/chat`, { messages: [message("order 7")], payload: { mood: "odd" } })
      assert.strictEqual((yield* json(rest))["title"], "InvalidPayload")
      const wrong = yield* Effect.promise(() => fetch(`${url}/agents/talk/chat`))
      assert.strictEqual(wrong.status, 405)
    }).pipe(Effect.scoped))

  it.live("leaves an answer working when its reader is gone, and cancels it when asked to", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/slow/chat`, id: "c" })
      const sent = chat.sendMessage({ text: "go" })
      yield* Effect.promise(async () => {
        while (textOf(chat.lastMessage) !== "First, ") await new Promise((go) => setTimeout(go, 10))
        await chat.stop()
        await sent
      })
      const runId = chat.lastMessage?.id
      assert.strictEqual((yield* json(yield* get(`${url}/runs/${runId}`)))["state"], "running")
      const stopped = yield* Effect.promise(() => fetch(`${url}/agents/slow/chat/c/stream`, { method: "DELETE" }))
      assert.deepStrictEqual([stopped.status, stopped.headers.get("x-run-id")], [204, runId])
      assert.strictEqual((yield* json(yield* get(`${url}/runs/${runId}`)))["state"], "cancelled")
      const after = yield* Effect.flatMap(get(`${url}/agents/slow/chat/c/stream`), text)
      assert.deepInclude(chunksOf(after).at(-1), { type: "abort" })
    }).pipe(Effect.scoped))

  it.live("asks again for a regenerated answer, in the same chat", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const chat = new Chat({ api: `${url}/agents/talk/chat`, id: "c" })
      yield* send(chat, "Where is order 7?")
      const first = chat.lastMessage?.id
      yield* Effect.promise(() => chat.regenerate())
      assert.strictEqual(chat.messages.length, 2)
      assert.notStrictEqual(chat.lastMessage?.id, first)
      assert.strictEqual(textOf(chat.lastMessage), "I look (2 messages before). Order 7 is shipped.")
    }).pipe(Effect.scoped))

  it.live("cuts a stream when the server stops, so that its reader knows that it has to come back", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld
      const outcome = yield* Effect.scoped(
        Effect.gen(function*() {
          const { url } = yield* serveFront({ world })
          const chat = new Chat({ api: `${url}/agents/slow/chat`, id: "c" })
          const sent = chat.sendMessage({ text: "go" })
          yield* Effect.promise(async () => {
            while (textOf(chat.lastMessage) !== "First, ") await new Promise((go) => setTimeout(go, 10))
          })
          return { chat, sent }
        }).pipe(Effect.tap(() => pause(10)))
      )
      yield* Effect.promise(() => outcome.sent)
      assert.strictEqual(outcome.chat.status, "error")
      yield* Deferred.succeed(world.gate, undefined)
    }).pipe(Effect.scoped))
})

const answered = (chat: Chat, approved: boolean) =>
  chat.lastMessage?.parts.map((part) =>
    "approval" in part && part.state === "approval-requested"
      ? { ...part, state: "approval-responded", approval: { id: part.approval.id, approved } }
      : part
  )

const texts = (body: string) =>
  chunksOf(body).map((chunk) => chunk["type"] === "text-delta" ? String(chunk["delta"]) : "").join("")
