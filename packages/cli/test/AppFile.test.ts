import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as TestClock from "effect/testing/TestClock"
import * as AppFile from "../src/AppFile.ts"
import { command, fixture } from "./process.ts"

describe("An app file", () => {
  it.effect("whose top-level await never ends is refused after 30 seconds", () =>
    Effect.gen(function*() {
      const loading = yield* Effect.forkChild(Effect.flip(AppFile.load(fixture("hanging.ts"))))
      yield* TestClock.adjust("30 seconds")
      const { message } = yield* Fiber.join(loading)
      assert.match(message, /hanging\.ts: is not loaded after 30 seconds; an await at the top level/u)
    }))

  it("whose layer throws is one line with the place of the error, before the log", async () => {
    for (const args of [["run", fixture("badStart.ts"), "--port", "0"], ["test", fixture("badStart.ts")]]) {
      const { code, stderr } = await command(args)
      assert.strictEqual(code, 1)
      assert.match(stderr.split("\n")[0] ?? "", /^fastagentic: .*badStart\.ts:8: no database here$/u)
    }
  })

  it("is tested with --kills, --runs and --seed for --chaos only", async () => {
    const { code, stderr } = await command(["test", fixture("app.ts"), "--kills", "3", "--seed", "1"])
    assert.deepStrictEqual([code, stderr], [
      2,
      "fastagentic: --kills and --seed without --chaos; add --chaos, which kills the app\n"
    ])
  })
})
