import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { Agent, App } from "fastagentic"
import { Push } from "fastagentic/a2a"
import { createServer } from "node:http"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { command, temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

class Echo extends Agent.make("echo", { description: "Echoes", payload: { text: Schema.String } }) {}
class Desk extends App.make("desk", { version: "1", agents: [Echo] }) {}

/** A receiver that is away until it is told to answer. */
const receiver = Effect.gen(function*() {
  const states: Array<string> = []
  let status = 503
  const server = createServer((request, response) => {
    let text = ""
    request.on("data", (chunk) => text += String(chunk))
    request.on("end", () => {
      if (status === 200) states.push(JSON.parse(text).statusUpdate?.status.state ?? "")
      response.writeHead(status).end()
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
  )
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/hook`,
    states,
    recover: () => {
      status = 200
    }
  }
})

describe("fastagentic push", { timeout: 60_000 }, () => {
  it.live("lists what was given up, and a redriven target gets every update that it has missed", () =>
    Effect.gen(function*() {
      const cwd = temporaryFolder()
      const hook = yield* receiver
      const at = (...args: ReadonlyArray<string>) =>
        Effect.promise(() => command(["push", ...args, "--json"], { cwd, env: { FASTAGENTIC_STORE: "desk.db" } }))
      const serve = onSqlite(
        Desk,
        Layer.mergeAll(
          Echo.toLayer(({ text }) => Effect.succeed(text)),
          Layer.orDie(Push.layer({
            secrets: [Redacted.make("a secret of forty characters for tests!!")],
            allow: ["127.0.0.1"],
            firstPauseMillis: 5,
            attempts: 2
          }))
        ),
        join(cwd, "desk.db")
      )
      const { stop, url } = yield* serve
      const taskId = yield* Effect.promise(async () => {
        const response = await fetch(`${url}/a2a/message:send`, {
          method: "POST",
          headers: { "content-type": "application/json", "a2a-version": "1.0" },
          body: JSON.stringify({
            message: { messageId: "m", role: "ROLE_USER", parts: [{ text: "hi" }] },
            configuration: { taskPushNotificationConfig: { id: "hook", url: hook.url } }
          })
        })
        return String(Object(await response.json()).task.id)
      })
      yield* Effect.promise(() => sleep(2_000))
      const onServer = yield* Effect.promise(() => command(["push", "list", "--url", url, "--json"], { cwd }))
      assert.include(onServer.stdout, taskId, onServer.stderr)
      const both = yield* Effect.promise(() =>
        Promise.all([1, 2].map(() => command(["push", "redrive", taskId, "--url", url, "--json"], { cwd })))
      )
      assert.strictEqual(both.filter(({ stdout }) => stdout.includes(taskId)).length, 1)
      yield* Effect.promise(() => sleep(1_500))
      yield* stop
      const listed = yield* at("list")
      assert.strictEqual(listed.code, 0, listed.stderr)
      assert.deepInclude(JSON.parse(listed.stdout), {
        runId: taskId,
        id: "hook",
        url: hook.url,
        attempts: 2,
        problem: "status 503"
      })
      assert.strictEqual((yield* at("redrive")).code, 2)
      const another = yield* at("redrive", "another")
      assert.strictEqual(another.code, 2)
      assert.include(another.stderr, "the run another has no such dead target")
      const read = yield* Effect.promise(() => command(["push", "list", "--store", "desk.db"], { cwd }))
      assert.include(read.stdout, "2 tries: status 503")
      hook.recover()
      const redriven = yield* at("redrive", taskId)
      assert.deepStrictEqual(JSON.parse(redriven.stdout), { runId: taskId, id: "hook", redriven: true })
      assert.strictEqual((yield* at("list")).stdout, "")
      yield* serve
      for (let turn = 0; turn < 100 && !hook.states.includes("TASK_STATE_COMPLETED"); turn++) {
        yield* Effect.promise(() => sleep(100))
      }
      assert.deepStrictEqual(hook.states.filter((state) => state !== ""), [
        "TASK_STATE_WORKING",
        "TASK_STATE_COMPLETED"
      ])
    }).pipe(Effect.scoped))
})
