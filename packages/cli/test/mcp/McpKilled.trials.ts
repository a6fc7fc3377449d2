import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Schema } from "effect"
import { join } from "node:path"
import { fastagentic, fixture, listening, temporaryFolder } from "../process.ts"
import { refund, said, serveRemote, type World } from "./remoteServer.ts"

const Items = Schema.Struct({ items: Schema.Array(Schema.Record(Schema.String, Schema.Json)) })

/** A served agent on a SQLite file, in a process that can be killed. */
const serve = Effect.fnUntraced(function*(shop: string, store: string) {
  const running = fastagentic(["run", fixture("mcpAgent.ts"), "--port", "0", "--store", store, "--mode", "http"], {
    env: { SHOP_URL: shop }
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => running.child.kill("SIGKILL")))
  const url = yield* Effect.promise(() => listening(running))
  const call = (method: "GET" | "POST", path: string, body?: unknown) =>
    Effect.promise(async () => {
      const headers = { accept: "application/json", "content-type": "application/json" }
      const response = await fetch(url + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const json: unknown = await response.json()
      return json
    })
  const list = (path: string) =>
    Effect.map(Effect.flatMap(call("GET", path), Schema.decodeUnknownEffect(Items)), ({ items }) => items)
  /** The run, once it satisfies. */
  const until = (holds: (text: string) => boolean) =>
    Effect.gen(function*() {
      const [run] = yield* list("/runs")
      const text = JSON.stringify(yield* call("GET", `/runs/${String(run?.["runId"])}`))
      return holds(text) ? text : yield* Effect.fail(text)
    }).pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }))
  const approve = Effect.gen(function*() {
    const [question] = yield* list("/interrupts")
    const path = `/runs/${String(question?.["runId"])}/interrupts/${String(question?.["id"])}`
    yield* call("POST", path, { decision: "approve" })
  })
  const kill = Effect.promise(async () => {
    running.child.kill("SIGKILL")
    await running.exited
  })
  return { call, until, approve, kill, list }
})

describe("a served agent that is killed around the call of a remote tool", () => {
  it.live(
    "does not call a tool that may destroy something twice, wherever it was killed",
    () =>
      Effect.scoped(Effect.gen(function*() {
        let release = () => {}
        let isHeld = true
        const world: World = {
          tools: [{
            ...refund,
            work: () => isHeld ? new Promise((resolve) => (release = () => resolve(said("paid")))) : said("paid")
          }],
          begun: []
        }
        const { url } = yield* serveRemote(world)

        // Killed while it waits for the approval: the next process asks no second time, and calls once.
        isHeld = false
        const store = join(temporaryFolder(), "agent.db")
        const first = yield* serve(url, store)
        yield* first.call("POST", "/agents/desk", { question: "?" })
        yield* first.kill
        const second = yield* serve(url, store)
        yield* second.approve
        yield* second.until((text) => text.includes("\"completed\""))
        assert.strictEqual(world.begun.length, 1)

        // Killed after it has ended: nothing is called again.
        yield* second.kill
        const third = yield* serve(url, store)
        yield* third.until((text) => text.includes("\"completed\""))
        assert.strictEqual(world.begun.length, 1)
        yield* third.kill

        // Killed in the middle of the call: the model reads that nobody knows how it ended.
        isHeld = true
        const other = join(temporaryFolder(), "agent.db")
        const fourth = yield* serve(url, other)
        yield* fourth.call("POST", "/agents/desk", { question: "?" })
        yield* Effect.forkChild(fourth.approve)
        yield* Effect.sync(() => world.begun.length).pipe(
          Effect.filterOrFail((count) => count === 2),
          Effect.retry({ times: 200, schedule: Schedule.spaced("50 millis") })
        )
        yield* fourth.kill
        release()
        const fifth = yield* serve(url, other)
        const ended = yield* fifth.until((text) => text.includes("\"completed\""))
        assert.include(ended, "RemoteLost")
        assert.strictEqual(world.begun.length, 2)
      })),
    240_000
  )
})
