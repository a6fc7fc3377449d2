import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Redacted, References, Schema } from "effect"
import { Agent, App, Auth, Principal, Run } from "fastagentic"
import { Push } from "fastagentic/a2a"
import { createServer } from "node:http"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fastagentic, fixture, temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

class Echo extends Agent.make("echo", { description: "Echoes", payload: { text: Schema.String } }) {}
class Desk extends App.make("desk", { version: "1", agents: [Echo] }) {}

class Asks extends Agent.make("asks", { description: "Asks", payload: { text: Schema.String } }) {}
class Asking extends App.make("asking", { version: "1", agents: [Asks] }) {}

const people = Auth.layerKeys(
  Object.entries({ bob: [], eve: ["runs:act:tenant"], boss: ["principals:manage"] }).map(([id, scopes]) => ({
    key: Redacted.make(id),
    principal: new Principal.Principal({ id, tenant: "acme", scopes, roles: [], claims: {} })
  }))
)

const secrets = [Redacted.make("a secret of forty characters for tests!!")] as const

/** A receiver inside of the network that a server must not reach, and one that redirects to it. */
const receivers = Effect.gen(function*() {
  const hits: Array<string> = []
  let answer: { readonly status: number; readonly headers: Record<string, string> } = { status: 200, headers: {} }
  const server = createServer((request, response) => {
    request.resume()
    hits.push(request.url ?? "")
    const { headers, status } = request.url === "/first" ? answer : { status: 200, headers: {} }
    response.writeHead(status, headers).end()
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return { hits, port, redirectTo: (location: string) => answer = { status: 307, headers: { location } } }
})

const serve = (options: Partial<Push.Options>) =>
  onSqlite(
    Desk,
    Layer.mergeAll(
      Echo.toLayer(({ text }) => Effect.succeed(text)),
      Layer.orDie(Push.layer({ secrets, firstPauseMillis: 10, attempts: 2, ...options }))
    ),
    join(temporaryFolder(), "desk.db")
  )

const send = (url: string, hook: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/a2a/message:send`, {
      method: "POST",
      headers: { "content-type": "application/json", "a2a-version": "1.0" },
      body: JSON.stringify({
        message: { messageId: globalThis.crypto.randomUUID(), role: "ROLE_USER", parts: [{ text: "hi" }] },
        configuration: { taskPushNotificationConfig: { url: hook } }
      })
    })
    return response.status
  })

describe("Push notifications", () => {
  const problems: Array<unknown> = []
  const logger = Logger.layer([
    Logger.make(({ fiber }) => void problems.push(fiber.getRef(References.CurrentLogAnnotations)["problem"]))
  ])

  it.live("reach no address of an internal network, whatever it is called", () =>
    Effect.gen(function*() {
      const { hits, port } = yield* receivers
      const { url } = yield* serve({ insecure: true })
      const hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00::1]"
      ]
      for (const host of hosts) assert.strictEqual(yield* send(url, `http://${host}:${port}/`), 200, host)
      yield* Effect.promise(() => sleep(3_000))
      assert.deepStrictEqual(hits, [])
      const { items } = yield* Effect.promise(async () => Object(await (await fetch(`${url}/audit?limit=200`)).json()))
      const refused = items.filter(({ decision }: { readonly decision: string }) => decision === "EgressRefused")
      const runs = new Set(refused.map(({ runId }: { readonly runId: string }) => runId))
      assert.strictEqual(runs.size, hosts.length)
      for (const entry of refused) assert.deepInclude(entry, { action: "notify", rule: "address" })
      const about = `http://10.0.0.1:${port} is not on the public network`
      assert.include(refused.map(({ reason }: { readonly reason: string }) => reason), about)
      assert.include(problems, about)
    }).pipe(Effect.scoped, Effect.provide(logger)), 30_000)

  it.live("follow no redirect", () =>
    Effect.gen(function*() {
      const { hits, port, redirectTo } = yield* receivers
      const { url } = yield* serve({ allow: ["127.0.0.1"] })
      redirectTo(`http://127.0.0.1:${port}/second`)
      assert.strictEqual(yield* send(url, `http://127.0.0.1:${port}/first`), 200)
      yield* Effect.promise(() => sleep(2_000))
      assert.include(hits, "/first")
      assert.notInclude(hits, "/second")
    }).pipe(Effect.scoped), 30_000)

  it.live(
    "end with the account of the colleague who has set them, and not those of the owner",
    () =>
      Effect.gen(function*() {
        const { hits, port } = yield* receivers
        const { url } = yield* onSqlite(
          Asking,
          Layer.mergeAll(
            Asks.toLayer(() => Effect.as(Effect.orDie(Run.interrupt("go", { schema: Schema.Boolean })), "done")),
            Layer.orDie(Push.layer({ secrets, firstPauseMillis: 10, allow: ["127.0.0.1"] }))
          ),
          join(temporaryFolder(), "asking.db"),
          { auth: people }
        )
        const post = (who: string, path: string, body: object) =>
          Effect.promise(async () => {
            const response = await fetch(`${url}${path}`, {
              method: "POST",
              headers: { "content-type": "application/json", "a2a-version": "1.0", "x-api-key": who },
              body: JSON.stringify(body)
            })
            return { status: response.status, body: Object(await response.json()) }
          })
        const message = { messageId: "m", role: "ROLE_USER", parts: [{ text: "hi" }] }
        const { task } = (yield* post("bob", "/a2a/message:send", { message })).body
        for (const who of ["eve", "bob"]) {
          const config = { id: who, url: `http://127.0.0.1:${port}/${who}` }
          const set = yield* post(who, `/a2a/tasks/${task.id}/pushNotificationConfigs`, config)
          assert.strictEqual(set.status, 200, who)
        }
        assert.strictEqual((yield* post("boss", "/principals/eve/revoke", {})).status, 200)
        const known = hits.filter((path) => path === "/eve").length
        const answer = { ...message, messageId: "a", taskId: task.id, parts: [{ text: "yes" }] }
        assert.strictEqual((yield* post("bob", "/a2a/message:send", { message: answer })).status, 200)
        yield* Effect.promise(async () => {
          for (let turn = 0; turn < 400 && !hits.includes("/bob"); turn++) await sleep(25)
          await sleep(1_500)
        })
        assert.include(hits, "/bob")
        assert.lengthOf(hits.filter((path) => path === "/eve"), known)
      }).pipe(Effect.scoped),
    30_000
  )

  it("need a secret that cannot be guessed", async () => {
    const running = fastagentic(["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", "memory"], {
      env: { FASTAGENTIC_PUSH_SECRET: "short" }
    })
    assert.notStrictEqual(await running.exited, 0)
    assert.include(running.stderr(), "FASTAGENTIC_PUSH_SECRET needs at least 32 characters")
  })
})
