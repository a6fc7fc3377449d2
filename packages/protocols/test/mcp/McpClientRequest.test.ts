import { assert, describe, it } from "@effect/vitest"
import { Resource } from "@fastagentic/core"
import { Effect, Fiber } from "effect"
import { icon, listen, messagesIn, modern, open, pages, post, serveAsker } from "./asker.ts"
import { by, lasting } from "./asking.ts"

const node = Effect.flatMap(lasting, serveAsker)

const all = { elicitation: {}, sampling: {}, roots: {} }
const accept = (content: unknown) => ({ action: "accept", content })
const sampled = { role: "assistant", content: { type: "text", text: "Hello" }, model: "m1" }

const call = (name: string, args: object = {}, more: object = {}) => ({ name, arguments: args, ...more })

/** The last message of an answer. */
const last = <A>({ messages }: { readonly messages: ReadonlyArray<A> }) => messages[messages.length - 1]

const textOf = (message: ReturnType<typeof JSON.parse>): string => message.result?.content?.[0]?.text

/** Calls a tool in a session, and answers each request of the server as it comes; the result is the last message. */
const converse = (
  url: string,
  session: Record<string, string>,
  params: object,
  answers: (request: ReturnType<typeof JSON.parse>) => object | undefined,
  answerTo = url
) =>
  Effect.promise(async () => {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream", ...session }
    const response = await fetch(url, {
      method: "POST",
      headers,
      body: JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/call", params })
    })
    const asked: Array<string> = []
    let text = ""
    let read = 0
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      const whole = text.slice(0, text.lastIndexOf("\n\n") + 1)
      const messages = messagesIn(whole)
      for (const message of messages.slice(read)) {
        if (message.method === undefined || message.id === undefined) continue
        asked.push(message.method)
        const answer = answers(message)
        if (answer === undefined) continue
        await fetch(answerTo, {
          method: "POST",
          headers,
          body: JSON.stringify({ jsonrpc: "2.0", id: message.id, ...answer })
        })
      }
      read = messages.length
    }
    return { asked, message: messagesIn(text).at(-1) }
  })

describe("A tool that asks its client, 2026-07-28", () => {
  it.live("asks for three things in one round, under the names that the handler gave them", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const { result: round } = last(yield* modern(url, "tools/call", call("ask_all"), { capabilities: all }))
      assert.strictEqual(round.resultType, "input_required")
      assert.deepStrictEqual(
        Object.entries(round.inputRequests).map(([name, request]) => [name, Object(request).method]),
        [["name", "elicitation/create"], ["model", "sampling/createMessage"], ["roots", "roots/list"]]
      )
      const inputResponses = { name: accept({ name: "Ada" }), model: sampled, roots: { roots: [{ uri: "file:///a" }] } }
      const more = { inputResponses, requestState: round.requestState }
      const done = last(yield* modern(url, "tools/call", call("ask_all", {}, more), { capabilities: all }))
      assert.strictEqual(textOf(done), "Ada m1: Hello 1")
    }))

  it.live("continues when only a part is answered, and asks for the rest under a new state", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const first = last(yield* modern(url, "tools/call", call("ask_all"), { capabilities: all })).result
      const part = { inputResponses: { model: sampled }, requestState: first.requestState }
      const second = last(yield* modern(url, "tools/call", call("ask_all", {}, part), { capabilities: all })).result
      assert.sameMembers(Object.keys(second.inputRequests), ["name", "roots"])
      assert.notStrictEqual(second.requestState, first.requestState)
      const misfit = {
        inputResponses: { name: accept({ name: "" }), roots: { roots: [] } },
        requestState: second.requestState
      }
      const third = last(yield* modern(url, "tools/call", call("ask_all", {}, misfit), { capabilities: all })).result
      assert.include(third.inputRequests.name.params.message, "did not fit")
      const rest = { inputResponses: { name: accept({ name: "Ada" }) }, requestState: third.requestState }
      const done = last(yield* modern(url, "tools/call", call("ask_all", {}, rest), { capabilities: all }))
      assert.strictEqual(textOf(done), "Ada m1: Hello 0")
    }))

  it.live("takes answers that come with the call itself", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const inputResponses = { name: accept({ name: "Ada" }), second: accept({ name: "Bob" }), other: 1 }
      const done = last(
        yield* modern(url, "tools/call", call("ask_twice", {}, { inputResponses }), { capabilities: all })
      )
      assert.strictEqual(textOf(done), "Ada Bob")
    }))

  it.live("refuses a state of other arguments, of another tool, of another caller, and a damaged one", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const round = last(yield* modern(url, "tools/call", call("ask_twice", { of: "a" }), { capabilities: all })).result
      const { requestState } = round
      const inputResponses = { name: accept({ name: "Ada" }) }
      const tries = [
        [call("ask_twice", { of: "b" }, { inputResponses, requestState }), {}],
        [call("ask_all", { of: "a" }, { inputResponses, requestState }), {}],
        [call("ask_twice", { of: "a" }, { inputResponses, requestState }), by("bob")],
        [call("ask_twice", { of: "a" }, { inputResponses, requestState: `${requestState}-TAMPERED` }), {}],
        [call("ask_twice", { of: "a" }, { inputResponses, requestState: "x" }), {}]
      ] as const
      for (const [params, headers] of tries) {
        const { error } = last(yield* modern(url, "tools/call", params, { capabilities: all, headers }))
        assert.strictEqual(error.code, -32602)
        assert.strictEqual(error.data.reason, "invalid_request_state")
      }
      const more = { inputResponses, requestState }
      const next =
        last(yield* modern(url, "tools/call", call("ask_twice", { of: "a" }, more), { capabilities: all })).result
      assert.deepStrictEqual(Object.keys(next.inputRequests), ["second"])
    }))

  it.live("tells progress of a continued call once", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const meta = { progressToken: "p" }
      const first = yield* modern(url, "tools/call", call("ask_twice"), { capabilities: all, meta })
      assert.isTrue(first.messages.some(({ params }) => params?.message === "once "))
      const { requestState } = last(first).result
      const more = { inputResponses: { name: accept({ name: "Ada" }) }, requestState }
      const second = yield* modern(url, "tools/call", call("ask_twice", {}, more), { capabilities: all, meta })
      assert.isFalse(second.messages.some(({ params }) => params?.message === "once "))
    }))

  it.live("is refused with -32021 and status 400 when the client lacks what it requires", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const refused = yield* modern(url, "tools/call", call("need_model"), { capabilities: { roots: {} } })
      assert.strictEqual(refused.response.status, 400)
      assert.strictEqual(last(refused).error.code, -32021)
      assert.deepStrictEqual(last(refused).error.data.requiredCapabilities, { sampling: {} })
    }))

  it.live("gets a typed refusal where the client has no model", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const { result } = last(yield* modern(url, "tools/call", call("ask_model")))
      assert.isTrue(result.isError)
      assert.deepStrictEqual(JSON.parse(result.content[0].text), {
        _tag: "ClientRefused",
        name: "model",
        reason: "unsupported"
      })
    }))
})

describe("A tool that asks its client, 2025-11-25", () => {
  it.live("asks the model, the folders and the user on the stream of the call", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const session = yield* open(url, all)
      const { asked, message } = yield* converse(url, session, call("ask_all"), ({ method }) => {
        switch (method) {
          case "elicitation/create":
            return { result: accept({ name: "Ada" }) }
          case "roots/list":
            return { result: { roots: [] } }
          default:
            return { result: sampled }
        }
      })
      assert.sameMembers(asked, ["elicitation/create", "sampling/createMessage", "roots/list"])
      assert.strictEqual(textOf(message), "Ada m1: Hello 0")
    }))

  it.live("gets a typed refusal when the client's user does not allow it", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const session = yield* open(url, all)
      const { message } = yield* converse(url, session, call("ask_model"), () => ({
        error: { code: -1, message: "User rejected sampling request" }
      }))
      assert.deepInclude(JSON.parse(textOf(message)), {
        _tag: "ClientRefused",
        reason: "declined",
        detail: "User rejected sampling request"
      })
    }))
})

describe("Prompts and resources", () => {
  it.live("ask in rounds, and the client carries what it has answered", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const prompt = { name: "question", arguments: { lang: "en" } }
      const capabilities = { capabilities: all }
      const first = last(yield* modern(url, "prompts/get", prompt, capabilities)).result
      assert.sameMembers(Object.keys(first.inputRequests), ["topic", "mood"])
      const answered = {
        inputResponses: { topic: accept({ topic: "tea" }), mood: accept({ value: "neither" }) },
        requestState: first.requestState
      }
      const second = last(yield* modern(url, "prompts/get", { ...prompt, ...answered }, capabilities)).result
      assert.deepStrictEqual(Object.keys(second.inputRequests), ["mood"])
      const good = { inputResponses: { mood: accept({ value: "good" }) }, requestState: second.requestState }
      const third = last(yield* modern(url, "prompts/get", { ...prompt, ...good }, capabilities)).result
      assert.deepStrictEqual(Object.keys(third.inputRequests), ["end"])
      const end = { inputResponses: { end: accept({ end: 3 }) }, requestState: third.requestState }
      const done = last(yield* modern(url, "prompts/get", { ...prompt, ...end }, capabilities)).result
      assert.strictEqual(done.messages[0].content.text, "en tea good 3")
      const other = { ...prompt, arguments: { lang: "de" }, ...end }
      assert.strictEqual(last(yield* modern(url, "prompts/get", other, capabilities)).error.code, -32602)
    }))

  it.live("are refused their questions where the client has no forms", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const { result } = last(yield* modern(url, "prompts/get", { name: "question", arguments: { lang: "en" } }))
      assert.strictEqual(result.messages[0].content.text, "refused: unsupported")
    }))

  it.live("complete their parameters from code, with what is known of the others", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const complete = (params: Record<string, unknown>) =>
        Effect.map(modern(url, "completion/complete", params), (reply) => last(reply).result.completion.values)
      assert.deepStrictEqual(
        yield* complete({
          ref: { type: "ref/prompt", name: "question" },
          argument: { name: "lang", value: "e" },
          context: { arguments: { topic: "tea" } }
        }),
        ["e-tea"]
      )
      const ref = { type: "ref/resource", uri: "pages://{name}" }
      assert.deepStrictEqual(yield* complete({ ref, argument: { name: "name", value: "t" } }), ["tea"])
      assert.deepStrictEqual(yield* complete({ ref, argument: { name: "toString", value: "" } }), [])
    }))

  it.live("of a template are listed as its handler says, page by page", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const more = Array.from({ length: 600 }, (_, index) => `page-${String(index).padStart(3, "0")}`)
      for (const name of more) pages.add(name)
      yield* Effect.addFinalizer(() => Effect.sync(() => more.forEach((name) => pages.delete(name))))
      const first = last(yield* modern(url, "resources/list", {})).result
      assert.strictEqual(first.resources.length, 500)
      assert.deepInclude(first.resources[0], {
        uri: "pages://coffee",
        title: "Page coffee",
        size: 6,
        mimeType: "text/plain"
      })
      pages.delete("page-400")
      const second = last(yield* modern(url, "resources/list", { cursor: first.nextCursor })).result
      assert.isUndefined(second.nextCursor)
      const uris = [...first.resources, ...second.resources].map(({ uri }) => uri)
      assert.strictEqual(new Set(uris).size, 602)
      for (const cursor of ["", "zzz", `${first.nextCursor}!`]) {
        assert.strictEqual(last(yield* modern(url, "resources/list", { cursor })).error?.code, -32602, cursor)
      }
    }).pipe(Effect.scoped))

  it.live("that change are told to those who listen, and to subscribed sessions on any node", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const [a, b] = [yield* serveAsker(kept), yield* serveAsker(kept)]
      const session = yield* open(a.url, {})
      const subscribe = (method: string, uri: string) =>
        post(b.url, { jsonrpc: "2.0", id: 1, method, params: { uri } }, session)
      assert.deepStrictEqual(last(yield* subscribe("resources/subscribe", "pages://tea")).result, {})
      assert.deepStrictEqual(last(yield* subscribe("resources/subscribe", "pages://coffee")).result, {})
      assert.deepStrictEqual(last(yield* subscribe("resources/unsubscribe", "pages://coffee")).result, {})
      assert.strictEqual(last(yield* subscribe("resources/subscribe", "other://x")).error.code, -32602)
      const stream = yield* streamOf(a.url, { headers: { accept: "text/event-stream", ...session } })
      const listening = yield* streamOf(
        b.url,
        listen({ resourcesListChanged: true, resourceSubscriptions: ["pages://tea"] })
      )
      yield* Effect.sleep("1200 millis")
      yield* Resource.changed("pages://coffee")
      yield* Resource.changed("pages://tea")
      yield* Effect.sleep("1500 millis")
      const heard = messagesIn(stream.text()).map(({ method, params }) => [method, params?.uri])
      assert.deepInclude(heard, ["notifications/resources/updated", "pages://tea"])
      assert.notDeepInclude(heard, ["notifications/resources/updated", "pages://coffee"])
      assert.deepInclude(heard, ["notifications/resources/list_changed", undefined])
      const told = messagesIn(listening.text()).map(({ method, params }) => [method, params?.uri])
      assert.deepStrictEqual(told[0], ["notifications/subscriptions/acknowledged", undefined])
      assert.deepInclude(told, ["notifications/resources/updated", "pages://tea"])
      assert.notDeepInclude(told, ["notifications/resources/updated", "pages://coffee"])
    }).pipe(Effect.scoped))
})

/** The text of a stream as far as it has come; the stream ends with the scope. */
const streamOf = (url: string, init: RequestInit) =>
  Effect.gen(function*() {
    const abort = new AbortController()
    yield* Effect.addFinalizer(() => Effect.sync(() => abort.abort()))
    const response = yield* Effect.promise(() => fetch(url, { ...init, signal: abort.signal }))
    assert.strictEqual(response.headers.get("content-type"), "text/event-stream")
    let text = ""
    const decoder = new TextDecoder()
    const read = async () => {
      for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true })
    }
    read().catch(() => {})
    return { text: () => text }
  })

describe("What a call says while it works", () => {
  it.live("is progress in the handler's numbers, which only grow, and logs of the level that the client wants", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const meta = { progressToken: "p", "io.modelcontextprotocol/logLevel": "warning" }
      const { messages } = yield* modern(url, "tools/call", call("work"), { meta })
      const logs = messages.filter(({ method }) => method === "notifications/message").map(({ params }) => params)
      assert.deepStrictEqual(logs.map(({ data, level, logger }) => [level, data, logger]), [[
        "warning",
        "large",
        "work"
      ]])
      const progress = messages.filter(({ method }) => method === "notifications/progress").map(({ params }) => params)
      const own = progress.filter(({ total }) => total === 10).map(({ message, progress }) => [progress, message])
      assert.deepInclude(own, [5.5, undefined])
      assert.strictEqual(own[0]?.[1], "begins")
      const numbers = progress.map(({ progress }) => progress)
      assert.isTrue(numbers.every((number, index) => index === 0 || number > numbers[index - 1]), numbers.join())
      const quiet = yield* modern(url, "tools/call", call("work"))
      assert.strictEqual(quiet.messages.length, 1)
    }))

  it.live("is logged to a session of 2025 from the level that it set, on whatever node", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const [a, b] = [yield* serveAsker(kept), yield* serveAsker(kept)]
      const session = yield* open(a.url, {})
      const logs = (url: string) =>
        Effect.map(
          post(url, { jsonrpc: "2.0", id: 2, method: "tools/call", params: call("work") }, session),
          ({ messages }) =>
            messages.flatMap(({ method, params }) => method === "notifications/message" ? [params.level] : [])
        )
      const setLevel = (url: string, level: string) =>
        post(url, { jsonrpc: "2.0", id: 3, method: "logging/setLevel", params: { level } }, session)
      assert.deepStrictEqual(last(yield* setLevel(b.url, "debug")).result, {})
      assert.deepStrictEqual(yield* logs(a.url), ["debug", "warning"])
      yield* setLevel(b.url, "error")
      assert.deepStrictEqual(yield* logs(b.url), [])
      yield* Effect.sleep("1500 millis")
      assert.deepStrictEqual(yield* logs(a.url), [])
    }).pipe(Effect.scoped))

  it.live("is refused when a header says otherwise than the arguments", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const args = call("regional", { region: "zürich", size: 7 })
      const encoded = `=?base64?${Buffer.from("zürich").toString("base64")}?=`
      const tried = (headers: Record<string, string>) => modern(url, "tools/call", args, { headers })
      const right = yield* tried({ "mcp-param-region": encoded, "mcp-param-size": "7.0" })
      assert.strictEqual(textOf(last(right)), "zürich 7")
      const wrongs = [
        { "mcp-param-region": "basel", "mcp-param-size": "7" },
        { "mcp-param-region": encoded },
        { "mcp-param-region": encoded, "mcp-param-size": "" },
        { "mcp-param-region": "=?base64?%%?=", "mcp-param-size": "7" }
      ]
      for (const headers of wrongs) {
        const refused = yield* tried(headers)
        assert.strictEqual(refused.response.status, 400, JSON.stringify(headers))
        assert.deepInclude(last(refused), { id: 1 })
        assert.strictEqual(last(refused).error.code, -32020)
      }
    }))
})

describe("A request of 2025 at another node than its call", () => {
  it.live("cancels the call", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const [a, b] = [yield* serveAsker(kept), yield* serveAsker(kept)]
      const session = yield* open(a.url, {})
      const started = post(a.url, { jsonrpc: "2.0", id: 5, method: "tools/call", params: call("slow") }, session)
      const cancelled = (headers: Record<string, string>) =>
        post(b.url, { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 5 } }, headers)
      const answer = yield* Effect.raceFirst(
        started,
        Effect.gen(function*() {
          yield* Effect.sleep("300 millis")
          // Another principal that knows the session cancels nothing.
          assert.strictEqual((yield* cancelled({ ...session, ...by("bob") })).response.status, 202)
          yield* Effect.sleep("1500 millis")
          const running = yield* runs(a.rest)
          assert.deepStrictEqual(running, ["running"])
          yield* cancelled(session)
          return yield* Effect.never
        })
      )
      assert.isUndefined(last(answer)?.result)
      assert.deepStrictEqual(yield* runs(a.rest), ["cancelled"])
    }).pipe(Effect.scoped, Effect.timeout("10 seconds")))

  it.live("cancels the call of its own principal, when another one uses the same session and request id", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const [a, b] = [yield* serveAsker(kept), yield* serveAsker(kept)]
      const ann = yield* open(a.url, {})
      const bob = { ...ann, ...by("bob") }
      const slow = { jsonrpc: "2.0", id: 5, method: "tools/call", params: call("slow") }
      const cancellation = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 5 } }
      const first = yield* Effect.forkChild(post(a.url, slow, ann))
      yield* Effect.sleep("300 millis")
      const second = yield* Effect.forkChild(post(a.url, slow, bob))
      yield* Effect.sleep("300 millis")
      yield* post(a.url, cancellation, ann)
      yield* Fiber.join(first)
      assert.deepStrictEqual([yield* runs(a.rest), yield* runs(a.rest, "bob")], [["cancelled"], ["running"]])
      yield* post(b.url, cancellation, bob)
      yield* Fiber.join(second)
      assert.deepStrictEqual(yield* runs(a.rest, "bob"), ["cancelled"])
    }).pipe(Effect.scoped, Effect.timeout("10 seconds")))

  for (
    const [title, answer] of [
      ["a cancelled form", { result: { action: "cancel" } }],
      ["an error of the client", { error: { code: -1, message: "no" } }],
      ["a form that never fits", { result: accept({ name: "" }) }]
    ] as const
  ) {
    it.live(`ends its wait with ${title}`, () =>
      Effect.gen(function*() {
        const kept = yield* lasting
        const [a, b] = [yield* serveAsker(kept), yield* serveAsker(kept)]
        const session = yield* open(a.url, { elicitation: {} })
        const { message } = yield* converse(a.url, session, call("ask_twice"), () => answer, b.url)
        assert.strictEqual(JSON.parse(textOf(message))._tag, "RunSuspended")
      }).pipe(Effect.scoped, Effect.timeout("12 seconds")))
  }
})

/** The states of ann's runs. */
const runs = (rest: string, who = "ann") =>
  Effect.promise(async (): Promise<ReadonlyArray<string>> => {
    const response = await fetch(`${rest}/runs`, { headers: by(who) })
    const { items } = await response.json()
    return items.map(({ state }: { readonly state: string }) => state)
  })

describe("Lists", () => {
  it.live("have the titles, icons, hints and metadata of declarations, and the app its instructions", () =>
    Effect.gen(function*() {
      const { url } = yield* node
      const discovered = last(yield* modern(url, "server/discover", {})).result
      assert.strictEqual(discovered.instructions, "Asks its clients")
      assert.deepStrictEqual(discovered._meta["io.modelcontextprotocol/serverInfo"].icons, [icon])
      const tools = last(yield* modern(url, "tools/list", {})).result.tools
      const named = (name: string) => tools.find((tool: { readonly name: string }) => tool.name === name)
      assert.deepInclude(named("delegating"), { title: "Delegates", icons: [icon], _meta: { "example.com/kind": 1 } })
      assert.deepInclude(named("delegating").annotations, { readOnlyHint: true, openWorldHint: true })
      assert.deepInclude(named("work"), { title: "Works", _meta: { "example.com/ui": { a: [1] } } })
      const [template] = last(yield* modern(url, "resources/templates/list", {})).result.resourceTemplates
      assert.deepInclude(template, { title: "All pages", annotations: { audience: ["user"], priority: 0.5 } })
      const [prompt] = last(yield* modern(url, "prompts/list", {})).result.prompts
      assert.deepInclude(prompt, { title: "A question", icons: [icon] })
    }))
})
