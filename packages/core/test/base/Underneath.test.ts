import { assert, describe, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { underneath } from "../../src/base/internal/underneath.ts"

class Shared extends Context.Service<Shared, string>()("test/Underneath/Shared") {}
class Own extends Context.Service<Own, string>()("test/Underneath/Own") {}
const Level = Context.Reference<number>("test/Underneath/Level", { defaultValue: () => 0 })

const seen = Effect.all([Effect.serviceOption(Shared), Effect.serviceOption(Own), Level]).pipe(
  Effect.map(([shared, own, level]) => [shared, own, level] as const)
)

describe("The services of a handler", () => {
  const app = Context.make(Shared, "app")
  const handler = Context.make(Shared, "handler").pipe(Context.add(Own, "handler"), Context.add(Level, 7))
  const withServices = underneath(handler, app)

  it.effect("are there where a call does not bring them", () =>
    Effect.gen(function*() {
      const [shared, own, level] = yield* withServices(seen).pipe(Effect.provideContext(app))
      assert.deepStrictEqual([shared._tag === "Some" && shared.value, own._tag === "Some" && own.value, level], [
        "app",
        "handler",
        7
      ])
    }))

  it.effect("give way to those that a call brings", () =>
    Effect.gen(function*() {
      const call = Context.add(app, Own, "call")
      const [, own] = yield* withServices(seen).pipe(Effect.provideContext(call))
      assert.strictEqual(own._tag === "Some" && own.value, "call")
    }))

  it.effect("are gone after the handler", () =>
    Effect.gen(function*() {
      const after = Effect.andThen(withServices(seen), seen)
      const [, own, level] = yield* Effect.provideContext(after, app)
      assert.deepStrictEqual([own._tag, level], ["None", 0])
    }))
})
