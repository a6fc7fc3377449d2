// The requirements of A2A 1.0.1 that every binding meets, each with its section, as rows that run against a binding. The
// server knows ann and bob of one tenant and eve of another.
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { type Answered, type Json, list, object, type Operation, type Wire } from "./wires.ts"

export interface Site {
  readonly wire: Wire
  readonly url: string
}

export interface Row {
  readonly id: string
  readonly section: string
  readonly title: string
  readonly only?: "1.0"
  /** A binding whose protocol has no form of it. */
  readonly without?: Wire["binding"]
  readonly run: (site: Site) => Effect.Effect<void>
}

const keyOf = (who: string) => ({ authorization: `Bearer key-of-${who}` })

let count = 0
const fresh = () => `m-${globalThis.crypto.randomUUID().slice(0, 8)}-${++count}`

export const message = (text: string, more: Json = {}): Json => ({
  messageId: fresh(),
  role: "ROLE_USER",
  parts: [{ text }],
  ...more
})

const call = ({ url, wire }: Site, operation: Operation, params: Json, who = "ann") =>
  wire.call(url, operation, params, keyOf(who))

const send = (site: Site, text: string, more: Json = {}, rest: Json = {}, who = "ann") =>
  Effect.map(call(site, "send", { message: message(text, more), ...rest }, who), task)

const skill = (skillId: string) => ({ metadata: { skillId } })

const task = ({ error, result }: Answered): Json => {
  assert.isUndefined(error, JSON.stringify(error))
  return object(result)
}

const state = (of: Json) => object(of["status"])["state"]
const idOf = (of: Json) => String(of["id"])
const texts = (parts: unknown) => list(parts).map((part) => object(part)["text"] ?? "").join("")
const artifact = (of: Json, id: string) => list(of["artifacts"]).map(object).find(({ artifactId }) => artifactId === id)

/** The status of gRPC for a code of JSON-RPC, by the table of section 5.4. */
const statusOf = (code: number) => code === -32001 ? 5 : code === -32602 || code === -32005 ? 3 : 9

/** The refusal with its code: that of JSON-RPC there, the status of HTTP where there is one. */
const refused = ({ wire }: Site, answer: Answered, code: number, http: number, reason: string) => {
  assert.strictEqual(answer.error?.reason, reason, JSON.stringify(answer.json))
  if (wire.binding === "gRPC") assert.strictEqual(answer.error?.code, statusOf(code), reason)
  else if (wire.binding === "JSON-RPC") assert.deepStrictEqual([answer.status, answer.error?.code], [200, code])
  else {
    assert.deepStrictEqual([answer.status, answer.error?.code], [http, wire.version === "1.0" ? http : code])
    assert.match(answer.headers.get("content-type") ?? "", /json/u)
  }
}

const notFound = (site: Site, answer: Answered) => refused(site, answer, -32001, 404, "TASK_NOT_FOUND")

export const rows: ReadonlyArray<Row> = [
  {
    id: "send.completed",
    section: "3.1.1",
    title: "a message is answered with the completed task and its artifacts",
    run: Effect.fnUntraced(function*(site) {
      const done = yield* send(site, "one two", {}, skill("echo"))
      assert.strictEqual(state(done), "TASK_STATE_COMPLETED")
      assert.strictEqual(texts(artifact(done, "output")?.["parts"]), "one two ")
    })
  },
  {
    id: "send.history",
    section: "4.1.4",
    title: "the history holds the message as it came",
    run: Effect.fnUntraced(function*(site) {
      const messageId = fresh()
      const sent = { messageId, role: "ROLE_USER", parts: [{ data: { text: "hi" } }], metadata: { trail: [1, "a"] } }
      const done = task(yield* call(site, "send", { message: sent, ...skill("echo") }))
      const history = list(task(yield* call(site, "get", { id: idOf(done) }))["history"])
      const { contextId, id } = done
      assert.deepStrictEqual(history, [{ ...sent, taskId: id, contextId }])
    })
  },
  {
    id: "send.duplicate",
    section: "3.3.1",
    title: "a message that comes twice starts one task, and another one under its id is a conflict",
    run: Effect.fnUntraced(function*(site) {
      const messageId = fresh()
      const first = yield* send(site, "Where is order 1042?", { messageId })
      const again = yield* send(site, "Where is order 1042?", { messageId })
      assert.deepStrictEqual([again["id"], again["contextId"]], [first["id"], first["contextId"]])
      const other = yield* call(site, "send", { message: message("Where is order 1043?", { messageId }) })
      assert.strictEqual(other.error?.reason, "MESSAGE_ID_CONFLICT")
      assert.notStrictEqual(idOf(yield* send(site, "Where is order 1042?", { messageId }, {}, "bob")), idOf(first))
    })
  },
  {
    id: "send.immediately",
    section: "3.2.2",
    title: "a message that does not wait is answered with a task that has not ended",
    run: Effect.fnUntraced(function*(site) {
      const begun = yield* send(site, "wait", {}, { configuration: { returnImmediately: true } })
      assert.include(["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"], state(begun))
      task(yield* call(site, "cancel", { id: idOf(begun) }))
    })
  },
  {
    id: "send.output-modes",
    section: "3.2.2",
    title: "a message whose sender takes none of the skill's output modes is refused, and any that fits is enough",
    run: Effect.fnUntraced(function*(site) {
      const sent = (acceptedOutputModes: ReadonlyArray<string>, more: Json = {}) =>
        call(site, "send", { message: message("hi", more), ...skill("echo"), configuration: { acceptedOutputModes } })
      for (const modes of [["image/png"], ["application/json", "video/*"]]) {
        const answer = yield* sent(modes)
        refused(site, answer, -32005, 400, "CONTENT_TYPE_NOT_SUPPORTED")
        assert.include(answer.error?.fields ?? [], "configuration.acceptedOutputModes")
      }
      for (const modes of [[], ["text"], ["image/png", "Text/Plain; charset=utf-8"], ["text/*"], ["*/*"]]) {
        task(yield* sent(modes))
      }
      const asking = yield* send(site, "refund order 1042")
      const answer = yield* sent(["image/png"], { taskId: idOf(asking) })
      refused(site, answer, -32005, 400, "CONTENT_TYPE_NOT_SUPPORTED")
      assert.strictEqual(state(task(yield* call(site, "get", { id: idOf(asking) }))), "TASK_STATE_INPUT_REQUIRED")
      task(yield* call(site, "cancel", { id: idOf(asking) }))
    })
  },
  {
    id: "send.multi-turn",
    section: "3.4.3",
    title: "a task that asks is answered by a message to it, which its history shows as it came",
    run: Effect.fnUntraced(function*(site) {
      const asking = yield* send(site, "refund order 1042")
      assert.strictEqual(state(asking), "TASK_STATE_INPUT_REQUIRED")
      assert.isObject(object(asking["status"])["message"])
      const messageId = fresh()
      const answer = { messageId, taskId: idOf(asking), metadata: { from: "phone" } }
      const done = yield* send(site, "yes", answer)
      assert.strictEqual(state(done), "TASK_STATE_COMPLETED")
      const history = list(task(yield* call(site, "get", { id: idOf(asking) }))["history"]).map(object)
      assert.deepStrictEqual(history.map(({ role }) => role), ["ROLE_USER", "ROLE_AGENT", "ROLE_USER"])
      assert.deepInclude(history[2], { messageId, parts: [{ text: "yes" }], metadata: { from: "phone" } })
      // The same answer again decides nothing else and answers with the task.
      const again = yield* send(site, "yes", answer)
      assert.strictEqual(state(again), "TASK_STATE_COMPLETED")
      assert.strictEqual(list(again["history"]).length, 3)
      const late = yield* call(site, "send", { message: message("no", { taskId: idOf(asking) }) })
      refused(site, late, -32004, 400, "UNSUPPORTED_OPERATION")
    })
  },
  {
    id: "send.context",
    section: "3.4.1",
    title: "the context of the client is kept, and a task of another context is refused",
    run: Effect.fnUntraced(function*(site) {
      const contextId = fresh()
      const asking = yield* send(site, "refund order 1042", { contextId })
      assert.strictEqual(asking["contextId"], contextId)
      const other = { taskId: idOf(asking), contextId: "another" }
      const answer = yield* call(site, "send", { message: message("yes", other) })
      refused(site, answer, -32602, 400, "INVALID_PARAMS")
      task(yield* call(site, "cancel", { id: idOf(asking) }))
    })
  },
  {
    id: "send.validation",
    section: "5.7",
    title: "invalid fields are named",
    run: Effect.fnUntraced(function*(site) {
      const cases: ReadonlyArray<readonly [Json, string]> = [
        [message("x", { parts: [] }), "message.parts"],
        [message("x", { parts: [{}] }), "message.parts.0"],
        [message("x", { messageId: "" }), "message.messageId"],
        [message("x", { role: "ROLE_AGENT" }), "message.role"],
        [message("x", { role: "somebody" }), "message.role"]
      ]
      for (const [sent, field] of cases) {
        const answer = yield* call(site, "send", { message: sent })
        refused(site, answer, -32602, 400, "INVALID_PARAMS")
        assert.include(answer.error?.fields ?? [], field)
      }
      const { error } = yield* call(site, "send", {
        message: message("x"),
        configuration: { historyLength: -1 }
      })
      assert.include(error?.fields ?? [], "configuration.historyLength")
    })
  },
  {
    id: "task.unknown",
    section: "3.3.2",
    title: "an unknown task is not found by any operation",
    run: Effect.fnUntraced(function*(site) {
      for (const id of ["none", "01a22b23-48b3-71f2-b53f-14dd79edf285", "a/b", "%"]) {
        notFound(site, yield* call(site, "get", { id }))
        notFound(site, yield* call(site, "cancel", { id }))
        notFound(site, yield* call(site, "send", { message: message("yes", { taskId: id }) }))
      }
      const { refused: answer } = yield* site.wire.stream(site.url, "subscribe", { id: "none" }, keyOf("ann"))
      assert.isDefined(answer)
      if (answer !== undefined) notFound(site, answer)
    })
  },
  {
    id: "task.isolation",
    section: "13.1",
    title: "a task of another owner or tenant looks like one that does not exist",
    run: Effect.fnUntraced(function*(site) {
      const id = idOf(yield* send(site, "refund order 1042"))
      const shape = ({ error, json, status }: Answered) => ({
        status,
        error,
        text: JSON.stringify(json).replaceAll(/[0-9a-f]{32}|[0-9a-f-]{36}/gu, "#")
      })
      const unknown = globalThis.crypto.randomUUID()
      for (const who of ["bob", "eve"]) {
        for (const operation of ["get", "cancel"] as const) {
          const theirs = yield* call(site, operation, { id }, who)
          assert.deepStrictEqual(shape(theirs), shape(yield* call(site, operation, { id: unknown }, who)))
          notFound(site, theirs)
        }
        const answer = (taskId: string) => call(site, "send", { message: message("yes", { taskId }) }, who)
        assert.deepStrictEqual(shape(yield* answer(id)), shape(yield* answer(unknown)))
        const { refused: hidden } = yield* site.wire.stream(site.url, "subscribe", { id }, keyOf(who))
        if (hidden === undefined) assert.fail("a stream of a foreign task opened")
        else notFound(site, hidden)
      }
      assert.strictEqual(state(task(yield* call(site, "get", { id }))), "TASK_STATE_INPUT_REQUIRED")
      task(yield* call(site, "cancel", { id }))
    })
  },
  {
    id: "door.unauthenticated",
    section: "7.3",
    title: "a caller without credentials gets 401 with a challenge from every operation",
    run: Effect.fnUntraced(function*({ url, wire }) {
      const calls: ReadonlyArray<readonly [Operation, Json]> = [
        ["send", { message: message("hi") }],
        ["send", { message: {} }],
        ["get", { id: "x" }],
        ["list", {}],
        ["cancel", { id: "x" }],
        ["card", {}],
        ["pushList", { taskId: "x" }]
      ]
      for (const [operation, params] of calls) {
        if (operation === "list" && wire.name === "gRPC 0.3") continue
        for (const headers of [{}, { authorization: "Bearer wrong" }]) {
          const answer = yield* wire.call(url, operation, params, headers)
          assert.strictEqual(answer.status, 401, operation)
          assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer/u)
        }
      }
    })
  },
  {
    id: "get.history-length",
    section: "3.2.4",
    title: "a length of history cuts it from its beginning, and 0 leaves it out",
    run: Effect.fnUntraced(function*(site) {
      const asking = yield* send(site, "refund order 1042")
      const id = idOf(yield* send(site, "no", { taskId: idOf(asking) }))
      const all = list(task(yield* call(site, "get", { id }))["history"])
      assert.strictEqual(all.length, 3)
      assert.deepStrictEqual(task(yield* call(site, "get", { id, historyLength: 2 }))["history"], all.slice(1))
      assert.deepStrictEqual(task(yield* call(site, "get", { id, historyLength: 9 }))["history"], all)
      // A number that is 0 is not on the wire of gRPC 0.3.
      if (site.wire.name === "gRPC 0.3") return
      assert.isUndefined(task(yield* call(site, "get", { id, historyLength: 0 }))["history"])
    })
  },
  {
    id: "cancel",
    section: "3.1.5",
    title: "a task is cancelled, once more without effect, and not after its end",
    run: Effect.fnUntraced(function*(site) {
      const { id } = yield* send(site, "wait", {}, { configuration: { returnImmediately: true } })
      assert.strictEqual(state(task(yield* call(site, "cancel", { id }))), "TASK_STATE_CANCELED")
      assert.strictEqual(state(task(yield* call(site, "cancel", { id }))), "TASK_STATE_CANCELED")
      const done = yield* send(site, "hi", {}, skill("echo"))
      refused(site, yield* call(site, "cancel", { id: idOf(done) }), -32002, 400, "TASK_NOT_CANCELABLE")
    })
  },
  {
    id: "stream",
    section: "3.1.2",
    title: "a stream begins with the task, keeps the order, and closes at its end",
    run: Effect.fnUntraced(function*({ url, wire }) {
      const sent = { message: message("a b c d"), ...skill("echo") }
      const { events, response } = yield* wire.stream(url, "send", sent, keyOf("ann"))
      if (wire.binding !== "gRPC") assert.strictEqual(response.headers.get("x-accel-buffering"), "no")
      const all = (yield* events.rest).map(({ data }) => data)
      assert.isDefined(all[0]?.["task"])
      const text = all.flatMap(({ artifactUpdate }) => artifactUpdate === undefined ? [] : [object(artifactUpdate)])
        .map(({ artifact }) => texts(object(artifact)["parts"])).join("")
      assert.strictEqual(text, "a b c d ")
      const last = object(all.at(-1)?.["statusUpdate"])
      assert.strictEqual(state(last), "TASK_STATE_COMPLETED")
      if (wire.version === "0.3") assert.isTrue(last["final"])
    })
  },
  {
    id: "stream.asks",
    section: "11.7",
    title: "a stream closes when input is required",
    run: Effect.fnUntraced(function*({ url, wire }) {
      const { events } = yield* wire.stream(url, "send", { message: message("refund order 1042") }, keyOf("ann"))
      const last = object((yield* events.rest).at(-1)?.data["statusUpdate"])
      assert.strictEqual(state(last), "TASK_STATE_INPUT_REQUIRED")
      if (wire.version === "0.3") assert.isTrue(last["final"])
      yield* wire.call(url, "cancel", { id: last["taskId"] }, keyOf("ann"))
    })
  },
  {
    id: "send.ids",
    section: "3.4.2",
    title: "the ids of tasks are the server's, and each message without a task begins one",
    run: Effect.fnUntraced(function*(site) {
      const contextId = fresh()
      const ids = new Set<string>()
      for (let turn = 0; turn < 3; turn++) ids.add(idOf(yield* send(site, "hi", { contextId }, skill("echo"))))
      assert.strictEqual(ids.size, 3)
    })
  },
  {
    id: "send.ended",
    section: "3.1.1",
    title: "a message to a task that has ended is refused, however it has ended",
    run: Effect.fnUntraced(function*(site) {
      const done = idOf(yield* send(site, "hi", {}, skill("echo")))
      const failed = idOf(yield* send(site, "Where is order 2042?"))
      const cancelled = idOf(yield* send(site, "refund order 1042"))
      task(yield* call(site, "cancel", { id: cancelled }))
      for (const taskId of [done, failed, cancelled]) {
        const answer = yield* call(site, "send", { message: message("more", { taskId }) })
        refused(site, answer, -32004, 400, "UNSUPPORTED_OPERATION")
        // Nothing of a task that has ended changes.
        const before = yield* call(site, "get", { id: taskId })
        assert.deepStrictEqual((yield* call(site, "get", { id: taskId })).result, before.result)
      }
    })
  },
  {
    id: "send.input-modes",
    section: "3.1.1",
    title: "a part of a type that the skill does not take is refused, and nothing starts",
    run: Effect.fnUntraced(function*(site) {
      const contextId = fresh()
      for (
        const part of [{ raw: "dGNr", mediaType: "application/x-odd" }, { url: "https://example.com/a.png" }, {
          text: "x",
          mediaType: "image/png"
        }]
      ) {
        // Version 0.3 has no media type of text.
        if (site.wire.version === "0.3" && "text" in part) continue
        const sent = message("", { contextId, parts: [part] })
        const answer = yield* call(site, "send", { message: sent, ...skill("echo") })
        refused(site, answer, -32005, 400, "CONTENT_TYPE_NOT_SUPPORTED")
      }
      const again = yield* send(site, "hi", { contextId }, skill("echo"))
      assert.strictEqual(list(again["history"]).length, 1)
    })
  },
  {
    id: "send.unknown-fields",
    section: "5.7",
    title: "fields that nobody knows are ignored",
    run: Effect.fnUntraced(function*(site) {
      // The client of gRPC has no field that is unknown.
      if (site.wire.binding === "gRPC") return
      task(yield* call(site, "send", { message: message("hi", { odd: { deep: [1] } }), odd: true, ...skill("echo") }))
    })
  },
  {
    id: "send.no-leak",
    section: "3.3.2",
    title: "a defect of the agent fails its task, and nothing of it is shown",
    run: Effect.fnUntraced(function*(site) {
      const answer = yield* call(site, "send", { message: message("crash") })
      assert.strictEqual(state(task(answer)), "TASK_STATE_FAILED")
      assert.notMatch(JSON.stringify(answer.json), /postgres|password/u)
      const { events } = yield* site.wire.stream(site.url, "send", { message: message("crash") }, keyOf("ann"))
      assert.notMatch(JSON.stringify(yield* events.rest), /postgres|password/u)
    })
  },
  {
    id: "send.parallel",
    section: "3.2.2",
    title: "of parallel answers to one question one counts, and each that waits is answered with the end",
    run: Effect.fnUntraced(function*(site) {
      const taskId = idOf(yield* send(site, "refund order 1042"))
      const answers = yield* Effect.forEach(
        ["yes", "yes", "no"],
        (text) => call(site, "send", { message: message(text, { taskId }) }),
        { concurrency: 3 }
      )
      const taken = answers.filter(({ error }) => error === undefined)
      assert.isAtLeast(taken.length, 1)
      for (const one of taken) assert.strictEqual(state(task(one)), "TASK_STATE_COMPLETED")
      const history = list(task(yield* call(site, "get", { id: taskId }))["history"]).map(object)
      assert.strictEqual(history.filter(({ role }) => role === "ROLE_USER").length, 2)
    })
  },
  {
    id: "send.parallel-duplicates",
    section: "3.3.1",
    title: "a message that comes several times at once starts one task",
    run: Effect.fnUntraced(function*(site) {
      const sent = { message: message("hi"), ...skill("echo") }
      const answers = yield* Effect.forEach([1, 2, 3, 4], () => call(site, "send", sent), { concurrency: 4 })
      assert.strictEqual(new Set(answers.map((one) => idOf(task(one)))).size, 1)
    })
  },
  {
    id: "stream.refused",
    section: "3.1.2",
    title: "an error before the first event is an error, and no stream",
    run: Effect.fnUntraced(function*({ url, wire }) {
      for (
        const params of [
          { message: message("hi", { taskId: "none" }) },
          { message: message("hi"), ...skill("nobody") },
          { message: message("hi", { parts: [] }) }
        ]
      ) {
        const { refused: answer } = yield* wire.stream(url, "send", params, keyOf("ann"))
        assert.isDefined(answer?.error)
      }
    })
  },
  {
    id: "stream.subscribers",
    section: "3.5.2",
    title: "all who follow a task get the same updates in the same order, and one that leaves changes nothing",
    run: Effect.fnUntraced(function*(site) {
      const { url, wire } = site
      const taskId = idOf(yield* send(site, "refund order 1042"))
      const open = Effect.map(wire.stream(url, "subscribe", { id: taskId }, keyOf("ann")), ({ events }) => events)
      const [one, other, leaving] = [yield* open, yield* open, yield* open]
      for (const events of [one, other, leaving]) assert.isDefined((yield* events.next)?.data["task"])
      yield* leaving.close
      yield* send(site, "yes", { taskId })
      const [first, second] = [yield* one.rest, yield* other.rest]
      const statuses = (events: typeof first) =>
        events.flatMap(({ data }) => data["statusUpdate"] === undefined ? [] : [data["statusUpdate"]])
      const texts = (events: typeof first) =>
        JSON.stringify(
          events.flatMap(({ data }) =>
            list(object(object(data["artifactUpdate"])["artifact"])["parts"]).map((part) => object(part)["text"])
          ).filter((text) => text !== undefined && text !== "")
        )
      assert.deepStrictEqual(statuses(first), statuses(second))
      assert.strictEqual(texts(first), texts(second))
      assert.strictEqual(state(object(first.at(-1)?.data["statusUpdate"])), "TASK_STATE_COMPLETED")
    })
  },
  {
    id: "subscribe",
    section: "3.1.6",
    title: "a subscription begins with the task as it is and follows it to its end without gap",
    run: Effect.fnUntraced(function*(site) {
      const { url, wire } = site
      const asking = yield* send(site, "refund order 1042")
      const { events } = yield* wire.stream(url, "subscribe", { id: idOf(asking) }, keyOf("ann"))
      const first = object((yield* events.next)?.data["task"])
      assert.strictEqual(state(first), "TASK_STATE_INPUT_REQUIRED")
      const answered = yield* send(site, "yes", { taskId: idOf(asking) })
      const rest = (yield* events.rest).map(({ data }) => data)
      const said = rest.flatMap(({ artifactUpdate }) => artifactUpdate === undefined ? [] : [object(artifactUpdate)])
        .filter(({ artifact }) => object(artifact)["artifactId"] === "text")
        .map(({ artifact }) => texts(object(artifact)["parts"])).join("")
      assert.strictEqual(texts(artifact(first, "text")?.["parts"]) + said, "Looking at your order… Done.")
      assert.strictEqual(texts(artifact(answered, "text")?.["parts"]), "Looking at your order… Done.")
      assert.strictEqual(state(object(rest.at(-1)?.["statusUpdate"])), "TASK_STATE_COMPLETED")
    })
  },
  {
    id: "subscribe.ended",
    section: "3.1.6",
    title: "a task that has ended takes no subscription",
    run: Effect.fnUntraced(function*(site) {
      const id = idOf(yield* send(site, "hi", {}, skill("echo")))
      const { refused: answer } = yield* site.wire.stream(site.url, "subscribe", { id }, keyOf("ann"))
      assert.isDefined(answer)
      if (answer !== undefined) refused(site, answer, -32004, 400, "UNSUPPORTED_OPERATION")
    })
  },
  {
    id: "subscribe.resumed",
    section: "3.5.2",
    without: "gRPC",
    title: "a client that names its last event gets what followed it, also after the end",
    run: Effect.fnUntraced(function*(site) {
      const { url, wire } = site
      const { events } = yield* wire.stream(
        url,
        "send",
        { message: message("a b c d"), ...skill("echo") },
        keyOf("ann")
      )
      const all = yield* events.rest
      const id = idOf(object(all[0]?.data["task"]))
      const ids = all.flatMap(({ id }) => id === undefined ? [] : [Number(id)])
      assert.deepStrictEqual(ids, [...ids].sort((a, b) => a - b))
      const lastEventId = String(ids[1])
      const again = yield* wire.stream(url, "subscribe", { id }, { ...keyOf("ann"), "last-event-id": lastEventId })
      const missed = yield* again.events.rest
      assert.strictEqual(missed[0]?.id, lastEventId)
      const before = texts(artifact(object(missed[0]?.data["task"]), "output")?.["parts"])
      const after = missed.slice(1).flatMap(({ data: { artifactUpdate } }) =>
        artifactUpdate === undefined ? [] : [texts(object(object(artifactUpdate)["artifact"])["parts"])]
      ).join("")
      assert.strictEqual(before + after, "a b c d ")
      assert.strictEqual(state(object(missed.at(-1)?.data["statusUpdate"])), "TASK_STATE_COMPLETED")
    })
  },
  {
    id: "list",
    section: "3.1.4",
    title: "tasks are listed by their last change in pages without gap, without artifacts, for their owner",
    only: "1.0",
    run: Effect.fnUntraced(function*(site) {
      const contextId = fresh()
      const asking = yield* send(site, "refund order 1042", { contextId })
      const done: Array<string> = []
      for (const text of ["a", "b", "c"]) done.push(idOf(yield* send(site, text, { contextId }, skill("echo"))))
      yield* send(site, "other", { contextId }, skill("echo"), "bob")
      yield* send(site, "no", { contextId, taskId: idOf(asking) })
      const expected = [idOf(asking), ...done.toReversed()]
      const seen: Array<Json> = []
      for (let pageToken = "", more = true; more;) {
        const page = object((yield* call(site, "list", { contextId, pageSize: 2, pageToken })).result)
        assert.deepInclude(page, { totalSize: 4, pageSize: 2 })
        seen.push(...list(page["tasks"]).map(object))
        pageToken = String(page["nextPageToken"])
        more = pageToken !== ""
      }
      assert.deepStrictEqual(seen.map(idOf), expected)
      assert.isTrue(seen.every((one) => !("artifacts" in one)))
      const times = seen.map((one) => String(object(one["status"])["timestamp"]))
      assert.deepStrictEqual(times, times.toSorted().toReversed())
      const some = object((yield* call(site, "list", { contextId, includeArtifacts: true, historyLength: 0 })).result)
      assert.isTrue(list(some["tasks"]).map(object).every((one) => "artifacts" in one && !("history" in one)))
      const since = object(
        (yield* call(site, "list", { contextId, statusTimestampAfter: times[1] })).result
      )
      assert.deepStrictEqual(list(since["tasks"]).map(object).map(idOf).slice(0, 2), expected.slice(0, 2))
      const theirs = object((yield* call(site, "list", { contextId }, "eve")).result)
      assert.deepStrictEqual(theirs, { tasks: [], nextPageToken: "", pageSize: 50, totalSize: 0 })
    })
  },
  {
    id: "list.status",
    section: "3.1.4",
    title: "tasks are listed by their state",
    only: "1.0",
    run: Effect.fnUntraced(function*(site) {
      const contextId = fresh()
      const asking = idOf(yield* send(site, "refund order 1042", { contextId }))
      const done = idOf(yield* send(site, "hi", { contextId }, skill("echo")))
      const failed = idOf(yield* send(site, "Where is order 2042?", { contextId }))
      const working = idOf(yield* send(site, "wait", { contextId }, { configuration: { returnImmediately: true } }))
      const expected: Record<string, ReadonlyArray<string>> = {
        TASK_STATE_INPUT_REQUIRED: [asking],
        TASK_STATE_AUTH_REQUIRED: [],
        TASK_STATE_COMPLETED: [done],
        TASK_STATE_FAILED: [failed],
        TASK_STATE_WORKING: [working],
        TASK_STATE_CANCELED: []
      }
      for (const [status, ids] of Object.entries(expected)) {
        const page = object((yield* call(site, "list", { contextId, status })).result)
        assert.deepStrictEqual(
          [list(page["tasks"]).map(object).map(idOf), page["totalSize"]],
          [ids, ids.length],
          status
        )
      }
      for (const odd of [{ status: "WORKING" }, { pageSize: 0 }, { pageSize: 101 }, { pageToken: "x" }]) {
        refused(site, yield* call(site, "list", odd), -32602, 400, "INVALID_PARAMS")
      }
      for (const id of [asking, working]) task(yield* call(site, "cancel", { id }))
      if (site.wire.binding === "gRPC") return
      const when = { statusTimestampAfter: "yesterday" }
      const { error } = yield* call(site, "list", when)
      assert.deepStrictEqual(error?.fields, ["statusTimestampAfter"])
    })
  },
  {
    id: "card.extended",
    section: "3.1.11",
    title: "the extended card is the caller's",
    run: Effect.fnUntraced(function*(site) {
      const card = object((yield* call(site, "card", {})).result)
      assert.deepStrictEqual(list(card["skills"]).map((one) => object(one)["id"]), ["echo", "support"])
    })
  }
]
