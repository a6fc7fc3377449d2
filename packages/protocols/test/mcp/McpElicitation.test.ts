import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Layer, Schedule } from "effect"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { by, lasting, serveAsking } from "./asking.ts"
import { connect, type Kind, kinds, type Person, type Question } from "./clients.ts"
import { headers, modern, send } from "./wire.ts"

const script = fileURLToPath(new URL("askingServer.ts", import.meta.url))

const transports = ["HTTP", "stdio"] as const

/** A pipe carries the same words whatever the store: there one client is enough with the second one. */
const isSecondStore = process.env["TEST_STORE"] !== undefined

const cells = kinds.flatMap((kind, index) =>
  transports.flatMap((transport) =>
    isSecondStore && transport === "stdio" && index > 0 ? [] : [[kind, transport] as const]
  )
)

/** A client of the caller `who` with a scripted user, and the REST address of its server. */
const meet = Effect.fnUntraced(function*(
  kind: Kind,
  transport: (typeof transports)[number],
  person: Person | undefined,
  who = "ann"
) {
  if (transport === "HTTP") {
    const { url } = yield* serveAsking(yield* lasting)
    return { url, peer: yield* connect(kind, { _tag: "Http", url: `${url}/mcp`, headers: by(who) }, person) }
  }
  const peer = yield* connect(kind, { _tag: "Stdio", script, env: { KEY: `key-of-${who}` } }, person)
  let printed = ""
  peer.stderr?.on("data", (chunk) => {
    printed += String(chunk)
  })
  while (!/url \S+ /u.test(printed)) yield* Effect.sleep("10 millis")
  return { url: /url (\S+) /u.exec(printed)?.[1] ?? "", peer }
})

const rest = (url: string, who: string, path: string, body?: unknown) =>
  Effect.promise(async () => {
    const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }
    const response = await fetch(url + path, { ...init, headers: { ...by(who), "content-type": "application/json" } })
    return { status: response.status, headers: response.headers, body: await response.json() }
  })

/** The final state of a run, once it has ended. */
const end = Effect.fnUntraced(function*(url: string, runId: string) {
  while (true) {
    const { body } = yield* rest(url, "ann", `/runs/${runId}`)
    if (body.finishedAt !== undefined) return { state: body.state, output: body.output, error: body.error }
    yield* Effect.sleep("10 millis")
  }
})

/** One client and server for the tests of a cell; each test has a scripted user of its own. */
class Meeting extends Context.Service<Meeting, {
  readonly url: string
  readonly peer: Effect.Success<ReturnType<typeof meet>>["peer"]
  user: Person
}>()("@fastagentic/protocols/test/mcp/McpElicitation.test/Meeting") {
  static readonly layer = (kind: Kind, transport: (typeof transports)[number]) =>
    Layer.effect(
      Meeting,
      Effect.gen(function*() {
        const meeting = { user: person().answer }
        const { peer, url } = yield* meet(kind, transport, (question, signal) => meeting.user(question, signal))
        return Object.assign(meeting, { peer, url })
      })
    )

  static readonly with = (user: Person) =>
    Meeting.use((meeting) =>
      Effect.sync(() => {
        meeting.user = user
        return meeting
      })
    )
}

const args = { orderId: 1042, amount: 12.5 }

/** Gives the answers in turn, and keeps the questions. */
const person = (...answers: ReadonlyArray<Awaited<ReturnType<Person>>>) => {
  const questions: Array<Question> = []
  const answer: Person = async (question) => {
    questions.push(question)
    return answers[questions.length - 1] ?? { action: "cancel" }
  }
  return { questions, answer }
}

for (const [kind, transport] of cells) {
  layer(Meeting.layer(kind, transport), { excludeTestServices: true, timeout: "30 seconds" })(
    `A decision by elicitation: ${kind} over ${transport}`,
    (it) => {
      it.effect("shows every detail, and approves", () =>
        Effect.gen(function*() {
          const { answer, questions } = person({ action: "accept", content: { decision: "approve", reason: "fine" } })
          const { peer, url } = yield* Meeting.with(answer)
          const result = yield* Effect.promise(() => peer.callTool("refund", args))
          assert.deepStrictEqual([result.isError, result.structured], [false, { orderId: 1042, refunded: 12.5 }])
          const [{ message, requestedSchema } = { message: "", requestedSchema: { properties: {} } }] = questions
          assert.match(
            message,
            /^refund asks for approval\nTool: refund\nArguments: \{"orderId":1042,"amount":12.5\}\nRisk: high\nRule: refunds are looked at\nExpires: 20\S+Z\nRun: \S+$/u
          )
          assert.deepStrictEqual(Object.keys(requestedSchema.properties), ["decision", "reason", "orderId", "amount"])
          assert.deepInclude(requestedSchema.properties["amount"], { type: "number", default: 12.5 })
          assert.deepStrictEqual(requestedSchema.required, ["decision"])
          const { body } = yield* rest(url, "ann", `/runs/${result.meta["fastagentic/runId"]}/interrupts`)
          assert.deepInclude(body.items[0].resolution, { decision: "approve", by: "ann", reason: "fine" })
        }).pipe(Effect.scoped))

      it.effect("edits arguments, and denies", () =>
        Effect.gen(function*() {
          const { answer } = person(
            { action: "accept", content: { decision: "edit", amount: 5 } },
            { action: "accept", content: { decision: "deny", reason: "too much" } },
            { action: "decline" }
          )
          const { peer } = yield* Meeting.with(answer)
          const edited = yield* Effect.promise(() => peer.callTool("refund", args))
          assert.deepStrictEqual(edited.structured, { orderId: 1042, refunded: 5 })
          const denied = yield* Effect.promise(() => peer.callTool("refund", args))
          assert.deepInclude(JSON.parse(denied.text), {
            _tag: "ToolDenied",
            message: "The call of the tool \"refund\" was denied: too much",
            rule: "approval: refund"
          })
          const declined = yield* Effect.promise(() => peer.callTool("ship", { to: { city: "Rome" } }))
          assert.deepInclude(JSON.parse(declined.text), { _tag: "ToolDenied", rule: "approval: ship" })
        }).pipe(Effect.scoped))

      it.effect("asks again after an invalid answer, and asks several questions in turn", () =>
        Effect.gen(function*() {
          const parcel = { size: "large", count: 3, gift: true }
          const { answer, questions } = person(
            { action: "accept", content: parcel },
            { action: "accept", content: { ...parcel, count: 4 } },
            { action: "accept", content: { value: true } }
          )
          const { peer } = yield* Meeting.with(answer)
          const result = yield* Effect.promise(() => peer.callTool("pack", {}))
          assert.deepStrictEqual([result.isError, result.text], [false, "4 large true true"])
          const [first, second, third] = questions
          assert.deepStrictEqual(first?.requestedSchema, {
            properties: {
              size: { type: "string", enum: ["small", "large"] },
              count: { type: "integer" },
              gift: { type: "boolean" },
              note: { type: "string" }
            },
            required: ["size", "count", "gift"]
          })
          assert.strictEqual(second?.message, `The last answer did not fit the form.\n${first?.message}`)
          assert.deepStrictEqual(third?.requestedSchema.properties, { value: { type: "boolean" } })
        }).pipe(Effect.scoped))

      it.effect("leaves a question open when the form holds no decision", () =>
        Effect.gen(function*() {
          const { answer, questions } = person(...Array(20).fill({ action: "accept", content: {} }))
          const { peer, url } = yield* Meeting.with(answer)
          const result = yield* Effect.promise(() => peer.callTool("refund", args).catch(() => undefined))
          assert.isAbove(questions.length, 2)
          const { body } = yield* rest(url, "ann", "/runs")
          assert.strictEqual(body.items[0].state, "suspended")
          if (result !== undefined) assert.strictEqual(JSON.parse(result.text)._tag, "RunSuspended")
        }).pipe(Effect.scoped))

      it.effect("leaves a question open that is cancelled, has no form, or that the caller may not decide", () =>
        Effect.gen(function*() {
          const { answer, questions } = person()
          const { peer, url } = yield* meet(kind, transport, answer, "boss")
          const cancelled = JSON.parse((yield* Effect.promise(() => peer.callTool("refund", args))).text)
          assert.strictEqual(cancelled._tag, "RunSuspended")
          assert.strictEqual(questions.length, 1)
          for (const [name, payload] of [["deep", {}], ["pay", { amount: 3 }]] as const) {
            const result = JSON.parse((yield* Effect.promise(() => peer.callTool(name, payload))).text)
            assert.strictEqual(result._tag, "RunSuspended", name)
          }
          assert.strictEqual(questions.length, 1)
          const { path } = cancelled.interrupts[0].answer
          assert.strictEqual((yield* rest(url, "boss", path, { decision: "approve" })).status, 202)
        }).pipe(Effect.scoped))

      it.effect("continues after another caller's decision", () =>
        Effect.gen(function*() {
          const asked = yield* Deferred.make<string>()
          const over = yield* Deferred.make<void>()
          const isTakenBack = kind !== "client 2.x, 2026-07-28"
          const { peer, url } = yield* Meeting.with(async ({ message }, signal) => {
            Deferred.doneUnsafe(asked, Effect.succeed(/Run: (\S+)/u.exec(message)?.[1] ?? ""))
            await new Promise((resolve) => {
              if (isTakenBack) signal.addEventListener("abort", resolve)
              else void Effect.runPromise(Deferred.await(over)).then(resolve)
            })
            return { action: "accept", content: { decision: "approve" } }
          })
          const calling = peer.callTool("refund", args)
          const runId = yield* Deferred.await(asked)
          const { body } = yield* rest(url, "ann", `/runs/${runId}/interrupts`)
          yield* rest(url, "ann", `/runs/${runId}/interrupts/${body.items[0].id}`, {
            decision: "deny",
            reason: "by REST"
          })
          yield* Deferred.succeed(over, undefined)
          const result = yield* Effect.promise(() => calling)
          assert.deepInclude(JSON.parse(result.text), {
            _tag: "ToolDenied",
            message: "The call of the tool \"refund\" was denied: by REST"
          })
        }).pipe(Effect.scoped))

      it.effect("keeps the run waiting when the client gives up its call", () =>
        Effect.gen(function*() {
          const asked = yield* Deferred.make<string>()
          const gone = new AbortController()
          const { peer, url } = yield* Meeting.with(({ message }) => {
            Deferred.doneUnsafe(asked, Effect.succeed(/Run: (\S+)/u.exec(message)?.[1] ?? ""))
            return new Promise((_, reject) => gone.signal.addEventListener("abort", () => reject(new Error("gone"))))
          })
          const calling = peer.callTool("refund", args, { signal: gone.signal }).catch(() => "gone")
          const runId = yield* Deferred.await(asked)
          gone.abort()
          // In rounds no request is open now, and the client of 2.x never settles a call that it gives up between two.
          if (kind !== "client 2.x, 2026-07-28") assert.strictEqual(yield* Effect.promise(() => calling), "gone")
          // The server has handled the client's earlier messages before it answers this one.
          yield* Effect.promise(() => peer.listTools())
          const { body } = yield* rest(url, "ann", `/runs/${runId}/interrupts`)
          const approved = yield* rest(url, "ann", `/runs/${runId}/interrupts/${body.items[0].id}`, {
            decision: "approve"
          })
          assert.strictEqual(approved.status, 202)
          assert.deepInclude(yield* end(url, runId), { state: "completed" })
        }).pipe(Effect.scoped))
    }
  )
}

const initialize = Effect.fnUntraced(function*(url: string) {
  const params = {
    protocolVersion: "2025-06-18",
    capabilities: { elicitation: {} },
    clientInfo: { name: "bare", version: "1" }
  }
  const response = yield* Effect.promise(() =>
    fetch(`${url}/mcp`, {
      method: "POST",
      headers: { ...headers, ...by("ann") },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params })
    })
  )
  yield* Effect.promise(() => response.text())
  return { "mcp-session-id": response.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-06-18" }
})

/** A call of 2025-06-18 up to the question on its stream, after which its reader disconnects. */
const askedOnce = Effect.fnUntraced(function*(url: string, name: string, who: string) {
  const session = yield* initialize(url)
  return yield* Effect.promise(async () => {
    const response = await fetch(`${url}/mcp`, {
      method: "POST",
      headers: { ...headers, ...session, ...by(who) },
      body: JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/call", params: { name, arguments: args } })
    })
    let text = ""
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    while (!text.includes("elicitation/create")) text += (await reader?.read())?.value ?? ""
    await reader?.cancel()
    const line = text.split("\n").find((one) => one.startsWith("data: {")) ?? ""
    return { session, question: JSON.parse(line.slice(6)) }
  })
})

const answerTo = (url: string, who: string, session: Record<string, string>, id: string, result: object) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/mcp`, {
      method: "POST",
      headers: { ...headers, ...session, ...by(who) },
      body: JSON.stringify({ jsonrpc: "2.0", id, result })
    })
    const text = await response.text()
    return { status: response.status, error: text === "" ? undefined : JSON.parse(text).error }
  })

const capable = (request: ReturnType<typeof modern>) => ({
  ...request,
  headers: { ...request.headers, ...by("ann") },
  body: request.body.replace("clientCapabilities\":{}", "clientCapabilities\":{\"elicitation\":{}}")
})

describe("A question", () => {
  const approve = { action: "accept", content: { decision: "approve" } }

  it.live("of 2025-06-18 is answered by a permitted caller after a broken stream and a restart of the server", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const { question, session } = yield* Effect.scoped(
        Effect.flatMap(serveAsking(kept), ({ url }) => askedOnce(url, "refund", "ann"))
      )
      const { url } = yield* serveAsking(kept)
      const runId = /Run: (\S+)/u.exec(question.params.message)?.[1] ?? ""
      const other = yield* answerTo(url, "bob", session, question.id, approve)
      assert.strictEqual(other.status, 400)
      assert.strictEqual(other.error.data.tag, "RunNotFound")
      assert.strictEqual((yield* answerTo(url, "nobody", session, question.id, approve)).status, 401)
      assert.strictEqual((yield* answerTo(url, "ann", session, question.id, approve)).status, 202)
      assert.deepInclude(yield* end(url, runId), { state: "completed", output: { orderId: 1042, refunded: 12.5 } })
      // A late answer gets the same response and changes nothing.
      assert.strictEqual((yield* answerTo(url, "ann", session, question.id, { action: "decline" })).status, 202)
      assert.deepInclude(yield* end(url, runId), { state: "completed" })
    }).pipe(Effect.scoped))

  it.live("of 2026-07-28 continues after a restart of the server, only for its caller and its tool", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const post = (url: string, request: ReturnType<typeof modern>, who = "ann") =>
        Effect.promise(async () => {
          const init = { ...request, headers: { ...request.headers, ...by(who) }, method: "POST" }
          return (await fetch(`${url}/mcp`, init)).json()
        })
      const call = capable(modern("tools/call", { name: "refund", arguments: args }))
      const first = yield* Effect.scoped(Effect.flatMap(serveAsking(kept), ({ url }) => post(url, call)))
      assert.strictEqual(first.result.resultType, "input_required")
      const { inputRequests, requestState } = first.result
      const [id = ""] = Object.keys(inputRequests)
      assert.strictEqual(inputRequests[id].method, "elicitation/create")
      const round = (name: string, state: string) =>
        capable(
          modern("tools/call", { name, arguments: args, requestState: state, inputResponses: { [id]: approve } })
        )
      const { url } = yield* serveAsking(kept)
      const wrong = [
        yield* post(url, round("refund", requestState), "bob"),
        yield* post(url, round("refund", globalThis.crypto.randomUUID())),
        yield* post(url, round("pay", requestState))
      ]
      for (const { error } of wrong) assert.strictEqual(error.code, -32602)
      const done = yield* post(url, round("refund", requestState))
      assert.deepStrictEqual(done.result.structuredContent, { orderId: 1042, refunded: 12.5 })
      // A repeated answer has the same result, and nothing runs twice.
      const twice = yield* post(url, round("refund", requestState))
      assert.deepStrictEqual(twice.result.structuredContent, done.result.structuredContent)
      assert.strictEqual((yield* rest(url, "ann", "/runs")).body.items.length, 1)
      // A round without an answer asks again; a client without the capability gets the pause as a result.
      const next = yield* post(url, call)
      const silent = modern("tools/call", { name: "refund", arguments: args, requestState: next.result.requestState })
      const repeated = yield* post(url, capable(silent))
      assert.deepStrictEqual(repeated.result.inputRequests, next.result.inputRequests)
      const { result } = yield* send(`${url}/mcp`, "tools/call", { name: "refund", arguments: args }, by("ann"))
      assert.include(result?.content?.[0]?.text, "RunSuspended")
    }).pipe(Effect.scoped))

  it.live("refuses and audits an answer of the run's own caller", () =>
    Effect.gen(function*() {
      const { audit, url } = yield* serveAsking(yield* lasting)
      const { session } = yield* askedOnce(url, "refund", "boss")
      const started = yield* rest(url, "boss", "/tools/pay", { amount: 3 })
      const { id, runId } = started.body.interrupts[0]
      const answerId = `question:${runId}:1:${id}`
      const refused = yield* answerTo(url, "boss", session, answerId, approve)
      assert.strictEqual(refused.status, 403)
      assert.deepInclude(refused.error.data, { tag: "Forbidden", rule: "not the requester" })
      assert.strictEqual((yield* answerTo(url, "lead", session, answerId, approve)).status, 202)
      const read = Effect.map(
        Effect.orDie(audit.page({ tenant: "acme", limit: 100 })),
        (trail) =>
          trail.filter(({ target }) => target.startsWith("interrupt/")).map((entry) =>
            [entry.principal, entry.action, entry.decision, entry.rule].join(" ").trim()
          )
      )
      // A decision is entered a moment later.
      const entries = yield* Effect.repeat(read, {
        until: (entries) => entries.length > 1,
        schedule: Schedule.spaced("20 millis"),
        times: 200
      })
      assert.deepStrictEqual(entries, ["lead approve allowed", "boss answer Forbidden not the requester"])
    }).pipe(Effect.scoped))

  it.live("is still waited for after the answers and refusals of callers who are not its own", () =>
    Effect.gen(function*() {
      const { url } = yield* serveAsking(yield* lasting)
      const session = yield* initialize(url)
      const response = yield* Effect.promise(() =>
        fetch(`${url}/mcp`, {
          method: "POST",
          headers: { ...headers, ...session, ...by("ann") },
          body: JSON.stringify({
            jsonrpc: "2.0",
            id: 2,
            method: "tools/call",
            params: { name: "refund", arguments: args }
          })
        })
      )
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
      let text = ""
      const until = (found: string) =>
        Effect.promise(async () => {
          while (!text.includes(found)) text += (await reader?.read())?.value ?? ""
        })
      yield* until("elicitation/create")
      const line = text.split("\n").find((one) => one.startsWith("data: {")) ?? ""
      const { id } = JSON.parse(line.slice(6))
      assert.isAtLeast((yield* answerTo(url, "bob", session, id, approve)).status, 400)
      assert.isAtLeast((yield* answerTo(url, "nobody", session, id, approve)).status, 400)
      yield* answerTo(url, "bob", session, id, { action: "cancel" })
      assert.strictEqual((yield* answerTo(url, "ann", session, id, approve)).status, 202)
      yield* until("\"refunded\":12.5")
      yield* Effect.promise(() => reader?.cancel() ?? Promise.resolve())
    }).pipe(Effect.scoped))
})
