// Threads as handlers and callers of the runtime use them, on any run store.
import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  App,
  Hook,
  Message,
  Redaction,
  Replay,
  Retention,
  Run,
  RunStore,
  Runtime,
  Thread
} from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { answer, caller, ended, layerRuntime } from "../support.ts"

const payload = { text: Schema.String }

const Chat = Agent.make("chat", { description: "Talks", payload, success: Schema.String, threads: "enqueue" })
const Single = Agent.make("single", { description: "Talks", payload, success: Schema.String, threads: "reject" })
const Loose = Agent.make("loose", { description: "Talks", payload, success: Schema.String })
const Brief = Agent.make("brief", {
  description: "Talks",
  payload,
  success: Schema.String,
  threads: "enqueue",
  durable: false
})
const Redacted = Hook.make("redacted")
const Guarded = Agent.make("guarded", { description: "Talks", payload, success: Schema.String, threads: "enqueue" })
  .hook(Redacted)
const Acme = App.make("acme", { version: "1", agents: [Chat, Single, Loose, Brief, Guarded] })

type Handler = (text: string) => Effect.Effect<string, never, Run.CurrentRun>

const handlersOf = (handler: Handler) =>
  Layer.mergeAll(
    Chat.toLayer(({ text }) => handler(text)),
    Single.toLayer(({ text }) => handler(text)),
    Loose.toLayer(({ text }) => handler(text)),
    Brief.toLayer(({ text }) => handler(text)),
    Guarded.toLayer(({ text }) => handler(text)),
    Redacted.toLayer({ output: Redaction.guard() })
  )

/** A process whose agents have these handlers, over a store. */
const processOf = <A, E>(
  store: RunStore.RunStore["Service"],
  handler: Handler,
  effect: Effect.Effect<A, E, Runtime.Runtime>
) => {
  const handlers = handlersOf(handler)
  const runtime = Layer.build(layerRuntime(Acme, handlers, Layer.succeed(RunStore.RunStore, store)))
  return Effect.scoped(Effect.flatMap(runtime, (context) => Effect.provideContext(effect, context)))
}

const startIn = (threadId: string | undefined, text: string, identifier = "chat") =>
  Runtime.Runtime.use((runtime) => runtime.start(caller, { kind: "agent", identifier, payload: { text }, threadId }))
    .pipe(Effect.map(({ run }) => run.runId))

/** Waits until a run has ended, also when it pauses and is taken again at this moment. */
const finished = Effect.fnUntraced(function*(runId: string) {
  while (true) {
    const run = yield* ended(runId)
    if (run.state !== "running") return run
    yield* Effect.sleep("5 millis")
  }
})

const say = (threadId: string | undefined, text: string, identifier = "chat") =>
  Effect.flatMap(startIn(threadId, text, identifier), finished)

const messagesOf = (threadId: string) =>
  Runtime.Runtime.use((runtime) => runtime.messages(caller, threadId, { limit: 1_000 })).pipe(
    Effect.map(({ items }) => items.map((message) => `${message.role}: ${Message.textOf(message)}`))
  )

const textsOf = (messages: ReadonlyArray<Message.Stored>) => messages.map(Message.textOf).join("|")

/** Answers with what was said before, and adds its own turn. */
const recalling: Handler = Effect.fnUntraced(function*(text) {
  const history = yield* Thread.messages()
  const said = `[${textsOf(history)}]`
  yield* Thread.add(Message.user(text), Message.assistant(text.toUpperCase()))
  return said
})

const ask = Effect.orDie(Run.interrupt("ask", { schema: Schema.String }))

/**
 * The tests of threads, on a store.
 */
export const threadsSuite = (name: string, layer: Layer.Layer<RunStore.RunStore, unknown>) => {
  const withStore = <A, E>(use: (store: RunStore.RunStore["Service"]) => Effect.Effect<A, E>) =>
    Effect.scoped(
      Effect.flatMap(Layer.build(Layer.fresh(layer)), (built) => use(Context.get(built, RunStore.RunStore)))
    )

  const inProcess = <A, E>(handler: Handler, effect: Effect.Effect<A, E, Runtime.Runtime>) =>
    withStore((store) => processOf(store, handler, effect))

  describe(`Threads, ${name}`, () => {
    it.live("show a handler what was said before it, and only in its own thread", () =>
      inProcess(
        recalling,
        Effect.gen(function*() {
          assert.strictEqual((yield* say("t", "one")).output, "[]")
          assert.strictEqual((yield* say("t", "two")).output, "[one|ONE]")
          assert.strictEqual((yield* say("u", "other")).output, "[]")
          assert.strictEqual((yield* say("t", "three", "single")).output, "[one|ONE|two|TWO]")
          assert.strictEqual((yield* say(undefined, "alone")).output, "[]")
          assert.deepStrictEqual(yield* messagesOf("t"), [
            "user: one",
            "assistant: ONE",
            "user: two",
            "assistant: TWO",
            "user: three",
            "assistant: THREE"
          ])
        })
      ))

    it.live("take the turns of an enqueuing agent one after the other", () =>
      inProcess(
        (text) => Effect.delay(recalling(text), text === "one" ? "200 millis" : 0),
        Effect.gen(function*() {
          const runs = [yield* startIn("t", "one"), yield* startIn("t", "two"), yield* startIn("t", "three")]
          const outputs = yield* Effect.forEach(runs, (runId) => Effect.map(ended(runId), ({ output }) => output), {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(outputs, ["[]", "[one|ONE]", "[one|ONE|two|TWO]"])
        })
      ))

    it.live("refuse a second turn of a rejecting agent with the run that has not ended", () =>
      inProcess(
        (text) => Effect.delay(recalling(text), "200 millis"),
        Effect.gen(function*() {
          const runId = yield* startIn("t", "one", "single")
          const refused = yield* Effect.flip(startIn("t", "two", "single"))
          assert.deepInclude(Object(refused).reason, { _tag: "ThreadBusy", threadId: "t", runId })
          yield* ended(runId)
          assert.deepStrictEqual(yield* messagesOf("t"), ["user: one", "assistant: ONE"])
        })
      ))

    it.live("show a resumed run the same history, although the thread has grown, and write its turn once", () =>
      withStore(Effect.fnUntraced(function*(store) {
        const read: Array<string> = []
        const handler: Handler = Effect.fnUntraced(function*(text) {
          const history = yield* Thread.messages()
          read.push(textsOf(history))
          yield* Thread.add(Message.user(text))
          const answer = text === "wait" ? yield* ask : text
          yield* Thread.add(Message.assistant(answer))
          return textsOf(history)
        })
        const runId = yield* processOf(
          store,
          handler,
          Effect.gen(function*() {
            yield* say("t", "one")
            const runId = yield* startIn("t", "wait")
            yield* Runtime.Runtime.use((runtime) => runtime.await(caller, runId))
            assert.deepStrictEqual(yield* messagesOf("t"), ["user: one", "assistant: one"])
            return runId
          })
        )
        const { owner, tenant } = (yield* store.get(runId)) ?? assert.fail()
        yield* grow(store, { tenant, owner, threadId: "t" })
        yield* processOf(
          store,
          handler,
          Effect.gen(function*() {
            const run = yield* answer(runId, { decision: "approve", value: "yes" })
            assert.strictEqual(run.output, "one|one")
            assert.deepStrictEqual(read, ["", "one|one", "one|one"])
            assert.deepStrictEqual(yield* messagesOf("t"), [
              "user: one",
              "assistant: one",
              "user: grown",
              "user: wait",
              "assistant: yes"
            ])
          })
        )
      })))

    it.live("keep nothing of a turn that fails, is cancelled or is killed, and a whole one of its retry", () =>
      withStore(Effect.fnUntraced(function*(store) {
        let broken = true
        const handler: Handler = Effect.fnUntraced(function*(text) {
          yield* Thread.add(Message.user(text))
          yield* Run.step("think", Effect.succeed(null))
          if (text === "hang") return yield* Effect.never
          if (text === "fail" && broken) return yield* Effect.die("broken")
          yield* Thread.add(Message.assistant(text))
          return text
        })
        const { failed, hung } = yield* processOf(
          store,
          handler,
          Effect.gen(function*() {
            const runtime = yield* Runtime.Runtime
            const failed = yield* say("t", "fail")
            assert.strictEqual(failed.state, "failed")
            const hung = yield* startIn("t", "hang")
            yield* Effect.sleep("50 millis")
            yield* runtime.cancel(caller, hung)
            const killed = yield* startIn("t", "hang")
            yield* Effect.sleep("50 millis")
            return { failed, hung: killed }
          })
        )
        broken = false
        yield* processOf(
          store,
          (text) =>
            text === "hang"
              ? Run.step("think", Effect.succeed(null)).pipe(
                Effect.andThen(Thread.add(Message.user("again"))),
                Effect.as(text)
              )
              : handler(text),
          Effect.gen(function*() {
            const runtime = yield* Runtime.Runtime
            yield* ended(hung)
            assert.deepStrictEqual(yield* messagesOf("t"), ["user: again"])
            const { run } = yield* runtime.retry(caller, failed.runId)
            assert.strictEqual((yield* ended(run.runId)).state, "completed")
            assert.deepStrictEqual(yield* messagesOf("t"), ["user: again", "user: fail", "assistant: fail"])
          })
        )
      })))

    it.live("take no messages of an agent whose turns run side by side, in a step, or that keeps no runs", () =>
      inProcess(
        Effect.fnUntraced(function*(text) {
          yield* Thread.messages()
          const add = Thread.add(Message.user(text))
          yield* text === "step" ? Run.step("add", Effect.as(add, null)) : add
          return text
        }),
        Effect.gen(function*() {
          const tags = yield* Effect.forEach(
            [["hello", "loose"], ["step", "chat"], ["hello", "brief"]] as const,
            ([text, agent]) => Effect.map(say("t", text, agent), ({ error }) => `${error?.tag}: ${error?.message}`)
          )
          assert.match(tags[0] ?? "", /^ThreadUnusable: .*"loose".*enqueue/u)
          assert.match(tags[1] ?? "", /^ThreadUnusable: .*"chat".*outside of steps/u)
          assert.match(tags[2] ?? "", /^ThreadUnusable: .*"brief".*durable/u)
        })
      ))

    it.live("let a run of another agent read the thread of the run that started it, and add nothing", () =>
      inProcess(
        Effect.fnUntraced(function*(text) {
          const history = textsOf(yield* Thread.messages())
          yield* Thread.add(Message.user(text))
          if (!text.startsWith("pass")) return history
          const other = text === "pass on" ? Chat : text === "pass on strictly" ? Single : Loose
          return yield* Effect.orDie(Run.delegate(other, { text: `child of ${text}` }))
        }),
        Effect.gen(function*() {
          yield* say("t", "one")
          for (const text of ["pass on", "pass on strictly", "pass on loosely"]) {
            const run = yield* Effect.timeout(say("t", text), "5 seconds")
            assert.deepInclude(run, { state: "completed" })
          }
          assert.deepStrictEqual(yield* messagesOf("t"), [
            "user: one",
            "user: pass on",
            "user: pass on strictly",
            "user: pass on loosely"
          ])
        })
      ))

    it.live("keep what guards let out", () =>
      inProcess(
        Effect.fnUntraced(function*(text) {
          yield* Thread.add(Message.user(text), {
            role: "tool",
            toolCallId: "c",
            name: "look",
            content: [{ type: "data", data: { card: text } }]
          })
          return text
        }),
        Effect.gen(function*() {
          yield* say("t", "sk-proj-aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3", "guarded")
          const runtime = yield* Runtime.Runtime
          const { items } = yield* runtime.messages(caller, "t", { limit: 10 })
          assert.deepStrictEqual(items.map(({ content }) => content), [
            [{ type: "text", text: "[redacted: api-key]" }],
            [{ type: "data", data: { card: "[redacted: api-key]" } }]
          ])
        })
      ))

    it.live("read as many whole turns as the limits allow", () =>
      inProcess(
        Effect.fnUntraced(function*(text) {
          const few = textsOf(yield* Thread.messages({ last: 3 }))
          const small = textsOf(yield* Thread.messages({ maxBytes: 700 }))
          const none = textsOf(yield* Thread.messages({ last: 1 }))
          yield* Thread.add(
            Message.user(text),
            Message.assistant("", [{ id: "c", name: "look", params: null }]),
            { role: "tool", toolCallId: "c", name: "look", content: [{ type: "text", text: "x".repeat(2_000) }] },
            Message.assistant(text.toUpperCase())
          )
          return `${few} ${small} ${none}`
        }),
        Effect.gen(function*() {
          yield* say("t", "one")
          // A turn that is too large is shown without its tools, if that fits.
          assert.strictEqual((yield* say("t", "two")).output, "one|ONE one|ONE ")
          assert.strictEqual((yield* say("t", "three")).output, "two|TWO two|TWO ")
        })
      ))

    it.live("summarize what is too long, once, so that a history never grows beyond its limits", () =>
      withStore(Effect.fnUntraced(function*(store) {
        const asked: Array<string> = []
        const seen: Array<ReadonlyArray<Message.Stored>> = []
        const handler: Handler = Effect.fnUntraced(function*(text) {
          const history = yield* Thread.messages({
            last: 6,
            summarize: ({ messages, summary = "" }) =>
              Effect.sync(() => {
                asked.push(`${summary}+${textsOf(messages)}`)
                return `${summary}${messages.filter(({ role }) => role === "user").map(Message.textOf).join("")}`
              })
          })
          seen.push(history)
          yield* Thread.add(Message.user(text), Message.assistant("ok"))
          if (text === "4") yield* ask
          return textsOf(history)
        })
        const waiting = yield* processOf(
          store,
          handler,
          Effect.gen(function*() {
            for (const text of ["0", "1", "2", "3"]) yield* say("t", text)
            assert.deepStrictEqual(asked, [])
            const runId = yield* startIn("t", "4")
            yield* Runtime.Runtime.use((runtime) => runtime.await(caller, runId))
            return runId
          })
        )
        yield* processOf(
          store,
          handler,
          Effect.gen(function*() {
            const run = yield* answer(waiting, { decision: "approve", value: "" })
            assert.strictEqual(run.output, "012|3|ok")
            assert.deepStrictEqual(asked, ["+0|ok|1|ok|2|ok"])
            for (let index = 5; index < 30; index++) yield* say("t", `${index}`)
            for (const history of seen) assert.isAtMost(history.length, 7)
            const last = seen.at(-1)?.[0]
            assert.strictEqual(last?.role, "summary")
            assert.match(asked.at(-1) ?? "", /^0123456789/u)
            assert.isBelow(asked.length, 14)
          })
        )
      })))

    it.live("are erased with their runs, also with those that have not ended", () =>
      withStore(Effect.fnUntraced(function*(store) {
        const handler: Handler = Effect.fnUntraced(function*(text) {
          yield* Thread.messages()
          yield* Thread.add(Message.user(text))
          return text === "wait" ? yield* ask : text
        })
        yield* processOf(
          store,
          handler,
          Effect.gen(function*() {
            const runtime = yield* Runtime.Runtime
            const first = yield* say("t", "secret")
            const waiting = yield* startIn("t", "wait")
            yield* runtime.await(caller, waiting)
            const queued = yield* startIn("t", "queued")
            const kept = yield* say("u", "kept")
            const fork = yield* runtime.forkThread(caller, "t", {})
            yield* runtime.eraseThread(caller, "t")
            for (const runId of [first.runId, waiting, queued]) {
              assert.isUndefined(yield* store.get(runId))
              assert.deepStrictEqual(yield* store.events(runId, 0, 10), [])
              assert.deepStrictEqual(yield* store.steps(runId), [])
            }
            for (
              const gone of [runtime.thread(caller, "t"), runtime.eraseThread(caller, "t"), messagesOf("t")]
            ) {
              assert.deepInclude(Object(yield* Effect.flip(Effect.asVoid(gone))).reason, {
                _tag: "ThreadNotFound",
                threadId: "t"
              })
            }
            assert.deepStrictEqual(yield* messagesOf("u"), ["user: kept"])
            assert.strictEqual((yield* runtime.get(caller, kept.runId)).state, "completed")
            assert.deepStrictEqual(yield* messagesOf(fork.threadId), ["user: secret"])
            yield* say("t", "anew")
            assert.deepStrictEqual(yield* messagesOf("t"), ["user: anew"])
          })
        )
      })))

    it.live("are kept as long as their last turn and their open runs, whole", () =>
      withStore(Effect.fnUntraced(function*(store) {
        const handler: Handler = Effect.fnUntraced(function*(text) {
          const history = textsOf(yield* Thread.messages())
          yield* Thread.add(Message.user(text))
          if (text === "fail") return yield* Effect.die("broken")
          return text === "wait" ? yield* ask : history
        })
        yield* processOf(
          store,
          handler,
          Effect.gen(function*() {
            const runtime = yield* Runtime.Runtime
            const sweep = (options: Retention.Options) =>
              Effect.provideService(Retention.sweep(options), RunStore.RunStore, store)
            for (const thread of ["old", "busy"]) yield* say(thread, "said")
            const failed = yield* say("old", "fail")
            const waiting = yield* startIn("busy", "wait")
            yield* runtime.await(caller, waiting)
            yield* sweep({ completed: "1 hour" })
            assert.deepStrictEqual(yield* messagesOf("old"), ["user: said"])
            yield* sweep({ failed: "1 hour", completed: "0 millis" })
            assert.isUndefined(yield* store.threads.get({ ...failed, threadId: "old" }))
            assert.deepStrictEqual(yield* messagesOf("busy"), ["user: said"])
            // A retry of a run that outlived its thread reads what is left.
            const { run } = yield* runtime.retry(caller, failed.runId)
            assert.strictEqual((yield* finished(run.runId)).state, "failed")
            const verdicts = yield* Replay.check(Acme).pipe(
              Effect.provide(handlersOf(handler)),
              Effect.provideService(RunStore.RunStore, store)
            )
            assert.deepStrictEqual(verdicts.map(({ agent, verdict }) => `${agent} ${verdict}`), ["chat ok"])
          })
        )
      })))

    it.live("fork at a message, once for a key", () =>
      inProcess(
        recalling,
        Effect.gen(function*() {
          const runtime = yield* Runtime.Runtime
          for (const text of ["one", "two", "three"]) yield* say("t", text)
          const fork = yield* runtime.forkThread(caller, "t", { at: 3, idempotencyKey: "k" })
          assert.deepInclude(fork, { messages: 4, forkedFrom: { threadId: "t", at: 4 } })
          assert.deepStrictEqual(yield* runtime.forkThread(caller, "t", { at: 3, idempotencyKey: "k" }), fork)
          const conflict = yield* Effect.flip(runtime.forkThread(caller, "t", { at: 1, idempotencyKey: "k" }))
          assert.strictEqual(conflict.reason._tag, "IdempotencyConflict")
          for (const at of [0, 7, 1.5]) {
            const invalid = yield* Effect.flip(runtime.forkThread(caller, "t", { at }))
            assert.strictEqual(invalid.reason._tag, "InvalidCursor")
          }
          assert.strictEqual((yield* say(fork.threadId, "else")).output, "[one|ONE|two|TWO]")
          assert.strictEqual((yield* messagesOf("t")).length, 6)
          assert.strictEqual((yield* messagesOf(fork.threadId)).length, 6)
        })
      ))
  })
}

/** Adds a turn of a run that no runtime has. */
const grow = Effect.fnUntraced(function*(
  store: RunStore.RunStore["Service"],
  key: { readonly tenant: string; readonly owner: string; readonly threadId: string }
) {
  const [known] = yield* store.list({ ...key, limit: 1 })
  if (known === undefined) return yield* Effect.die("no run")
  const { idempotencyKey: _key, finishedAt: _at, output: _output, ...rest } = known
  const runId = known.runId.slice(0, -1) + (known.runId.endsWith("0") ? "1" : "0")
  const run = { ...rest, runId, state: "running", attempt: 1 } as const
  yield* store.write([
    { _tag: "Admit", run, events: [] },
    {
      _tag: "Commit",
      runId: run.runId,
      attempt: 1,
      from: ["running"],
      ts: 1,
      events: [],
      set: { state: "completed", finishedAt: 1 },
      turn: { ...key, messages: [Message.user("grown")] }
    }
  ])
})
