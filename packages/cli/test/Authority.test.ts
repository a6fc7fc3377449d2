import { assert, describe, it } from "@effect/vitest"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { Effect, Exit, Fiber, Layer, Redacted, Schema, Scope } from "effect"
import { Agent, ApiKeys, App, Auth, Budget, Principal, RateLimit, Run, Server } from "fastagentic"
import { join } from "node:path"
import * as Process from "./process.ts"
import { urlOf } from "./serving.ts"

class Works extends Agent.make("works", {
  description: "Works",
  payload: {},
  signals: { go: Schema.String }
}) {}
class Asks extends Agent.make("asks", { description: "Asks and works", payload: {} }) {}
class Naps extends Agent.make("naps", { description: "Sleeps and works", payload: { millis: Schema.Finite } }) {}
class Dozes extends Agent.make("dozes", { description: "Sleeps after a message", payload: { text: Schema.String } }) {}
class Hears extends Agent.make("hears", {
  description: "Takes a message and works",
  payload: {},
  signals: { go: Schema.String }
}) {}
class Parent extends Agent.make("parent", { description: "Lets another nap", payload: {} }) {}
class Serial extends Agent.make("serial", { description: "One at a time", payload: {}, concurrency: { total: 1 } }) {}
class Hangs extends Agent.make("hangs", { description: "Works for long", payload: {} }) {}
class Acme extends App.make("acme", {
  version: "1",
  agents: [Works, Asks, Naps, Dozes, Hears, Parent, Serial, Hangs]
}) {}

const staff = new Principal.Principal({ id: "boss", tenant: "acme", scopes: ["*"], roles: [], claims: {} })
const boss = "boss-key-0123456789"

/** A server with API keys, and a boss with a fixed one. */
const world = Effect.gen(function*() {
  const filename = join(Process.temporaryFolder(), "acme.db")
  const worked: Array<string> = []
  const work = (name: string) => Effect.sync(() => void worked.push(name))
  const handlers = Layer.mergeAll(
    Works.toLayer(() => Effect.as(work("works"), "done")),
    Asks.toLayer(() =>
      Effect.andThen(
        Effect.orDie(Run.interrupt("go", { schema: Schema.Boolean, scopes: ["approve"] })),
        Effect.as(work("asks"), "done")
      )
    ),
    Naps.toLayer(({ millis }) => Effect.andThen(Run.sleep(millis), Effect.as(work("naps"), "done"))),
    Dozes.toLayer(() => Effect.andThen(Run.sleep(600), Effect.as(work("dozes"), "done"))),
    Hears.toLayer(() => Effect.andThen(Run.receive(Hears, "go"), Effect.as(work("hears"), "done"))),
    Parent.toLayer(() => Effect.andThen(Effect.orDie(Run.delegate(Asks, {})), Effect.as(work("parent"), "done"))),
    Serial.toLayer(() => Effect.andThen(Effect.sleep("2 seconds"), Effect.as(work("serial"), "done"))),
    Hangs.toLayer(() => Effect.andThen(Effect.never, Effect.as(work("hangs"), "done")))
  )
  const boot = Effect.gen(function*() {
    const scope = yield* Scope.make()
    const auth = Auth.layerFirst(ApiKeys.layer, Auth.layerKeys([{ key: Redacted.make(boss), principal: staff }]))
    const stores = Sqlite.layer({ filename })
    const context = yield* Layer.buildWithScope(
      Layer.fresh(Server.layer(Acme, { port: 0, grace: "200 millis" })).pipe(
        Layer.provide([handlers, Budget.layerUnlimited, RateLimit.layerUnlimited]),
        Layer.provide(auth),
        Layer.provideMerge(stores)
      ),
      scope
    )
    const stop = Scope.close(scope, Exit.void)
    yield* Effect.addFinalizer(() => stop)
    return { url: urlOf(context), stop, context }
  })
  let server = yield* boot
  const send = (method: string, path: string, key: string, body?: unknown) =>
    Effect.promise(async () => {
      const response = await fetch(`${server.url}${path}`, {
        method,
        headers: { accept: "application/json", "content-type": "application/json", "x-api-key": key },
        ...(method === "GET" ? {} : { body: JSON.stringify(body ?? {}) })
      })
      return { status: response.status, body: decode(await response.json()) }
    })
  const inStore = <A, E>(effect: Effect.Effect<A, E, ApiKeys.Kept>) =>
    Effect.suspend(() => Effect.provideContext(effect, server.context))
  const keyOf = (id: string, scopes: ReadonlyArray<string> = ["*"]) =>
    Effect.map(
      inStore(ApiKeys.create({ id, tenant: "acme", scopes })),
      ({ key, secret }) => ({ prefix: key.prefix, secret: Redacted.value(secret) })
    )
  const runOf = (runId: unknown) => Effect.map(send("GET", `/runs/${String(runId)}`, boss), ({ body }) => body)
  const until = Effect.fnUntraced(function*(runId: unknown, is: (run: typeof Body.Type) => boolean) {
    for (let turn = 0; turn < 400; turn++) {
      const run = yield* runOf(runId)
      if (is(run)) return run
      yield* Effect.sleep("25 millis")
    }
    return assert.fail(`the run did not come so far: ${JSON.stringify(yield* runOf(runId))}`)
  })
  const isHeld = (run: typeof Body.Type) => run["state"] === "suspended" && run["waitsFor"] === "principal"
  return {
    worked,
    send,
    keyOf,
    runOf,
    until,
    held: (runId: unknown) => until(runId, isHeld),
    revoke: (prefix: string) => inStore(ApiKeys.revoke(prefix)),
    start: (agent: string, key: string, query = "", body?: unknown) =>
      Effect.map(send("POST", `/agents/${agent}/runs${query}`, key, body), ({ body, status }) => {
        assert.strictEqual(status, 202, JSON.stringify(body))
        return body["runId"]
      }),
    restart: Effect.gen(function*() {
      yield* server.stop
      server = yield* boot
    }),
    stopped: Effect.suspend(() => server.stop),
    url: () => server.url,
    filename
  }
})

const command = (args: ReadonlyArray<string>) => Effect.promise(() => Process.command(args))

const Body = Schema.Record(Schema.String, Schema.Json)
const decode = Schema.decodeUnknownSync(Body)
const isCompleted = (run: typeof Body.Type) => run["state"] === "completed"
const isResting = (run: typeof Body.Type) => run["state"] === "suspended"
const itemsOf = ({ body }: { readonly body: typeof Body.Type }) =>
  Schema.decodeUnknownSync(Schema.Array(Body))(body["items"])

describe("a run whose key was revoked while it waited", () => {
  it.live(
    "a delayed run is held and listed, and continues when its owner resumes it with a fresh key",
    () =>
      Effect.gen(function*() {
        const { held, keyOf, revoke, send, start, until, worked } = yield* world
        const key = yield* keyOf("ann")
        const runId = yield* start("works", key.secret, `?startAt=${Date.now() + 3_000}`)
        yield* revoke(key.prefix)
        yield* held(runId)
        assert.deepStrictEqual(worked, [])
        const listed = itemsOf(yield* send("GET", "/runs?waitsFor=principal", boss))
        assert.deepStrictEqual(listed.map((run) => run["runId"]), [runId])
        const events = itemsOf(yield* send("GET", `/runs/${String(runId)}/events?limit=50`, boss))
        const { data } = events.find(({ type }) => type === "run_suspended") ?? assert.fail("no event")
        assert.deepInclude(data, { reason: "principal", detail: "the API key has expired or was revoked" })
        const fresh = yield* keyOf("ann")
        yield* send("POST", `/runs/${String(runId)}/resume`, fresh.secret)
        yield* until(runId, isCompleted)
        assert.deepStrictEqual(worked, ["works"])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "an approver's decision is kept and the run is held, in memory and after a restart",
    () =>
      Effect.gen(function*() {
        const { held, keyOf, restart, revoke, send, start, until, worked } = yield* world
        const key = yield* keyOf("ann")
        const runs = yield* Effect.forEach([1, 2], () => start("asks", key.secret))
        for (const runId of runs) yield* until(runId, isResting)
        yield* revoke(key.prefix)
        for (const runId of runs) {
          const [asked] = itemsOf(yield* send("GET", "/interrupts", boss)).filter((one) => one["runId"] === runId)
          const answered = yield* send("POST", `/runs/${String(runId)}/interrupts/${String(asked?.["id"])}`, boss, {
            decision: "approve",
            value: true
          })
          assert.strictEqual(answered.status, 202, JSON.stringify(answered.body))
          yield* held(runId)
          assert.deepStrictEqual(worked, [])
          yield* restart
        }
        // Somebody who may act for the owner vouches for the run: its decision is there.
        for (const runId of runs) {
          yield* send("POST", `/runs/${String(runId)}/resume`, boss)
          yield* until(runId, isCompleted)
        }
        assert.deepStrictEqual(worked, ["asks", "asks"])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("a timer, a message and the end of a child let no run continue", () =>
    Effect.gen(function*() {
      const { held, keyOf, revoke, send, start, until, worked } = yield* world
      const key = yield* keyOf("ann")
      const nap = yield* start("naps", key.secret, "", { millis: 900 })
      const long = yield* start("naps", key.secret, "", { millis: 3_500 })
      const hears = yield* start("hears", key.secret)
      const parent = yield* start("parent", key.secret)
      for (const runId of [nap, long, hears, parent]) yield* until(runId, isResting)
      yield* revoke(key.prefix)
      yield* send("POST", `/runs/${String(hears)}/signals/go`, boss, "now")
      const [asked] = itemsOf(yield* send("GET", "/interrupts", boss))
      yield* send("POST", `/runs/${String(asked?.["runId"])}/interrupts/${String(asked?.["id"])}`, boss, {
        decision: "approve",
        value: true
      })
      for (const runId of [nap, long, hears, asked?.["runId"]]) yield* held(runId)
      assert.deepStrictEqual(worked, [])
    }).pipe(Effect.scoped), 60_000)

  it.live("a chat completion of a held run ends with the reason, whole and as a stream", () =>
    Effect.gen(function*() {
      const { keyOf, revoke, url, worked } = yield* world
      for (const stream of [false, true]) {
        const ann = yield* keyOf("ann")
        const answer = yield* Effect.forkChild(Effect.promise(async () => {
          const response = await fetch(`${url()}/v1/chat/completions`, {
            method: "POST",
            headers: { "content-type": "application/json", "x-api-key": ann.secret },
            body: JSON.stringify({ model: "dozes", stream, messages: [{ role: "user", content: "Good night" }] })
          })
          return { status: response.status, text: await response.text() }
        }))
        yield* Effect.sleep("200 millis")
        yield* revoke(ann.prefix)
        const { status, text } = yield* Fiber.join(answer)
        assert.strictEqual(status, stream ? 200 : 409, text)
        assert.include(text, "\"code\":\"RunWaits\"")
        assert.include(text, "it waits for principal")
        assert.notInclude(text, "\"finish_reason\":\"stop\"")
      }
      assert.deepStrictEqual(worked, [])
    }).pipe(Effect.scoped))

  it.live("a queued run is held, and takes no room of the line", () =>
    Effect.gen(function*() {
      const { held, keyOf, revoke, start, until, worked } = yield* world
      const [ann, bob] = [yield* keyOf("ann"), yield* keyOf("bob")]
      const first = yield* start("serial", bob.secret)
      const waits = yield* start("serial", ann.secret)
      const behind = yield* start("serial", bob.secret)
      yield* revoke(ann.prefix)
      yield* held(waits)
      yield* until(first, isCompleted)
      yield* until(behind, isCompleted)
      assert.deepStrictEqual(worked, ["serial", "serial"])
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "runs of a schedule are held, of a tick and of a trigger, after its writer's key was revoked",
    () =>
      Effect.gen(function*() {
        const { held, keyOf, revoke, send, worked } = yield* world
        for (const agent of ["works", "serial"]) {
          const ann = yield* keyOf("ann")
          const weekly = { agent, cron: "0 6 * * 1", payload: {} }
          assert.strictEqual((yield* send("POST", `/schedules/${agent}`, ann.secret, weekly)).status, 201)
          const often = { ...weekly, cron: "* * * * * *" }
          assert.strictEqual((yield* send("POST", `/schedules/${agent}-often`, ann.secret, often)).status, 201)
          yield* send("POST", `/schedules/${agent}-often/pause`, boss)
          yield* revoke(ann.prefix)
          const before = worked.length
          yield* send("POST", `/schedules/${agent}-often/resume`, boss)
          const triggered = yield* send("POST", `/schedules/${agent}/run`, boss)
          yield* held(triggered.body["runId"])
          yield* Effect.sleep("2500 millis")
          const { body } = yield* send("GET", `/schedules/${agent}-often`, boss)
          yield* held(body["lastRunId"])
          assert.strictEqual(worked.length, before)
          const reason = "its principal may not act: the API key has expired or was revoked"
          assert.strictEqual(body["problem"], reason)
          const listed = itemsOf(yield* send("GET", "/schedules", boss)).filter(({ id }) =>
            String(id).startsWith(agent)
          )
          assert.deepStrictEqual(listed.map(({ problem }) => problem), [reason, reason])
          // One held run stands for all ticks, beside the one that was triggered.
          const waiting = itemsOf(yield* send("GET", `/runs?waitsFor=principal&agent=${agent}`, boss))
          assert.lengthOf(waiting, 2)
        }
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("all work of a principal", () => {
  it.live(
    "revoke over REST holds it at once, refuses its calls, and restore lets continue what may",
    () =>
      Effect.gen(function*() {
        const { held, keyOf, send, start, until } = yield* world
        const ann = yield* keyOf("ann")
        const bob = yield* keyOf("bob", ["orders:read"])
        const hangs = yield* start("hangs", ann.secret)
        const later = yield* start("works", ann.secret, `?startAt=${Date.now() + 60_000}`)
        const other = yield* start("hangs", bob.secret)
        assert.strictEqual((yield* send("POST", "/principals/ann/revoke", bob.secret)).status, 403)
        const revoked = yield* send("POST", "/principals/ann/revoke", boss)
        assert.deepStrictEqual([revoked.status, revoked.body], [200, { keys: 1, schedules: 0, runs: 2 }])
        yield* held(hangs)
        yield* held(later)
        yield* until(other, (run) => run["state"] === "running")
        // A new key of a disabled account opens nothing.
        const fresh = yield* keyOf("ann")
        const refused = yield* send("GET", "/runs", fresh.secret)
        assert.deepStrictEqual([refused.status, refused.body["detail"]], [
          401,
          "Authentication failed: the account is disabled. Send valid credentials."
        ])
        assert.deepStrictEqual((yield* send("POST", "/principals/ann/restore", boss)).body, {
          keys: 0,
          schedules: 0,
          runs: 2
        })
        // Its key stays revoked, so its runs are held until the owner resumes them.
        yield* held(later)
        yield* send("POST", `/runs/${String(later)}/resume`, fresh.secret)
        yield* until(later, isCompleted)
        const entries = itemsOf(yield* send("GET", "/audit?limit=100", boss))
          .filter(({ target }) => target === "principal/ann").map(({ action, reason }) => [action, reason])
        assert.deepStrictEqual(entries, [
          ["restore", "0 keys, 0 schedules, 2 runs"],
          ["enable", undefined],
          ["restore", "begun"],
          ["revoke", "1 keys, 0 schedules, 2 runs"],
          ["disable", undefined],
          ["revoke", "begun"]
        ])
        const keys = itemsOf(yield* send("GET", "/audit?limit=100", boss))
          .filter(({ onBehalfOf, target }) => String(target).startsWith("key/") && onBehalfOf === "ann")
          .map(({ action, principal, target }) => [action, principal, target])
        const [one, another] = [ann, fresh].map(({ secret }) => `key/${secret.split("_")[1]}`)
        assert.deepStrictEqual(keys, [
          ["create", "app", another],
          ["revoke", "boss", one],
          ["create", "app", one]
        ])
        assert.deepStrictEqual((yield* send("POST", "/principals/ann/cancel", boss)).body, {
          keys: 0,
          schedules: 0,
          runs: 1
        })
        yield* until(hangs, (run) => run["state"] === "cancelled")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live.each(["revoke", "cancel"] as const)(
    "%s pauses its schedules, over REST and on the command line, and each is an entry",
    (change) =>
      Effect.gen(function*() {
        const { filename, keyOf, restart, send, start, stopped, until, url } = yield* world
        const [bob, often] = [yield* keyOf("bob"), { agent: "works", cron: "* * * * * *", payload: {} }]
        yield* send("POST", "/schedules/others", bob.secret, { ...often, cron: "0 6 * * 1" })
        const ways = {
          rest: () => send("POST", `/principals/ann/${change}`, boss),
          url: () => command(["principals", change, "ann", "--url", url(), "--token", boss]),
          store: () =>
            Effect.gen(function*() {
              yield* stopped
              const done = yield* command(["principals", change, "ann", "--tenant", "acme", "--store", filename])
              yield* restart
              return done
            })
        }
        for (const [way, make] of Object.entries(ways)) {
          yield* send("POST", "/principals/ann/restore", boss)
          const ann = yield* keyOf("ann")
          assert.strictEqual((yield* send("POST", `/schedules/${way}`, ann.secret, often)).status, 201)
          const later = yield* start("works", ann.secret, `?startAt=${Date.now() + 60_000}`)
          const done = yield* make()
          if ("stdout" in done) assert.include(done.stdout, "1 schedule paused", done.stderr)
          else assert.strictEqual(done.body["schedules"], 1)
          yield* until(later, ({ state }) => state === (change === "cancel" ? "cancelled" : "suspended"))
          const { body } = yield* send("GET", `/schedules/${way}`, boss)
          assert.isTrue(body["paused"], way)
          yield* Effect.sleep("1200 millis")
          assert.deepStrictEqual(
            (yield* send("GET", `/schedules/${way}`, boss)).body["lastRunId"],
            body["lastRunId"],
            way
          )
          // Enabling an account lets its schedules pause: a person looks at them first.
          yield* send("POST", "/principals/ann/restore", boss)
          assert.isTrue((yield* send("GET", `/schedules/${way}`, boss)).body["paused"], way)
        }
        assert.isFalse((yield* send("GET", "/schedules/others", boss)).body["paused"])
        const entries = itemsOf(yield* send("GET", "/audit?limit=200", boss))
          .filter(({ action }) => action === "pause").map(({ principal, target }) => [principal, target])
        assert.deepStrictEqual(entries, [["cli", "schedule/store"], ["boss", "schedule/url"], [
          "boss",
          "schedule/rest"
        ]])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "the command line asks a running server, changes a stopped one's file, and says what is wrong",
    () =>
      Effect.gen(function*() {
        const { filename, held, keyOf, restart, start, stopped, until, url } = yield* world
        const ann = yield* keyOf("ann")
        const later = yield* start("works", ann.secret, `?startAt=${Date.now() + 60_000}`)
        const hangs = yield* start("hangs", ann.secret)
        const running = yield* command(["principals", "revoke", "ann", "--url", url(), "--token", boss])
        assert.deepStrictEqual([running.code, running.stdout], [
          0,
          "ann: 1 key revoked, 0 schedules paused, 2 runs held\n"
        ], running.stderr)
        yield* held(later)
        const wrong = yield* command(["principals", "revoke", "ann", "--url", url(), "--token", ann.secret])
        assert.deepStrictEqual([wrong.code, wrong.stdout], [2, ""])
        assert.include(wrong.stderr, "Authentication failed")
        yield* stopped
        const cancelled = yield* command(["principals", "cancel", "ann", "--tenant", "acme", "--store", filename])
        assert.deepStrictEqual(
          [cancelled.code, cancelled.stdout],
          [0, "ann: 0 schedules paused, 2 runs cancelled\n"],
          cancelled.stderr
        )
        const nowhere = yield* command(["principals", "cancel", "ann"])
        assert.deepStrictEqual([nowhere.code, nowhere.stdout], [2, ""])
        assert.include(nowhere.stderr, "name a place: --store")
        yield* restart
        yield* until(later, (run) => run["state"] === "cancelled")
        yield* until(hangs, (run) => run["state"] === "cancelled")
      }).pipe(Effect.scoped),
    60_000
  )
})
