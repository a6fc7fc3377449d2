// A handler that is called directly gives what the toolkit of effect/ai would give: both are called, and compared.
import { assert, describe, it } from "@effect/vitest"
import { ToolCall } from "@fastagentic/core"
import { Cause, Context, Effect, Exit, Schema } from "effect"
import * as AiError from "effect/ai/AiError"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { directHandlers } from "../../../src/hook/internal/directHandlers.ts"

class Desk extends Context.Service<Desk, { readonly name: string }>()("test/Desk") {}

const Count = Schema.FiniteFromString

const Failing = Tool.make("work", {
  parameters: Schema.Struct({ count: Count }),
  success: Count,
  failure: Schema.Struct({ why: Count }),
  dependencies: [Desk]
})

const Returning = Tool.make("work", {
  parameters: Schema.Struct({ count: Count }),
  success: Count,
  failure: Schema.Struct({ why: Count }),
  failureMode: "return",
  dependencies: [Desk]
})

type Work = Toolkit.HandlersFrom<Toolkit.ToolsByName<[typeof Failing]>>["work"]

// cast: a handler that no compiler has checked.
const wrong = "no number" as unknown as number

const handlers: Record<string, Work> = {
  "gives a result": ({ count }) => Effect.succeed(count + 1),
  "uses a service of its own": ({ count }) => Effect.map(Desk, ({ name }) => name.length + count),
  "fails": () => Effect.fail({ why: 7 }),
  "fails for a reason of a model": () => Effect.fail(new AiError.RateLimitError({})),
  "says how far it is": ({ count }, { preliminary }) =>
    Effect.as(Effect.andThen(preliminary(1), preliminary(2)), count),
  "says how far it is, then fails": (_, { preliminary }) => Effect.andThen(preliminary(1), Effect.fail({ why: 7 })),
  "throws": () => {
    throw new Error("thrown")
  },
  "dies": () => Effect.die(new Error("a defect")),
  "interrupts itself": () => Effect.interrupt,
  "gives a result that does not fit": () => Effect.succeed(wrong),
  "fails with what does not fit": () => Effect.fail({ why: wrong }),
  "hides that its progress does not fit": ({ count }, { preliminary }) =>
    Effect.as(Effect.catchCause(preliminary(wrong), () => Effect.void), count)
}

const outcomeOf = Effect.fnUntraced(function*(called: ToolCall.Handlers, params: unknown) {
  const results: Array<ToolCall.Result> = []
  const exit = yield* Effect.exit(
    called.handle(
      "work",
      params,
      "call-1",
      ({ encodedResult, isFailure, preliminary }) =>
        Effect.sync(() => void results.push({ encodedResult, isFailure, preliminary }))
    )
  )
  const reasons = Exit.isSuccess(exit) ? [] : exit.cause.reasons.map((reason) =>
    Cause.isFailReason(reason)
      ? `fails with ${JSON.stringify(reason.error)}`
      : Cause.isDieReason(reason)
      ? `dies of ${reason.defect}`
      : "is interrupted"
  )
  return { results, reasons }
})

const cases = Object.entries(handlers).map(([name, work]) => ({ name, work }))
const modes = [Failing, Returning]

const bothWays = Effect.fnUntraced(function*(tool: Tool.Any, work: Work, params: unknown) {
  // cast: both tools have the handler of the failing one.
  const toolkit = Toolkit.make(tool as typeof Failing)
  const services = yield* Effect.provideService(toolkit.toHandlers({ work }), Desk, { name: "desk" })
  const made = yield* Effect.provideContext(toolkit, services)
  // cast: `Handlers` forgets which tools there are.
  const general = made as unknown as Toolkit.WithHandler<Record<string, Tool.Any>>
  return {
    through: yield* outcomeOf(ToolCall.handlersOf(made), params),
    direct: yield* outcomeOf(directHandlers(general, services), params)
  }
})

describe("A handler that is called directly", () => {
  for (const tool of modes) {
    it.effect.each(cases)(
      `with failure mode "${tool.failureMode}", and $name: the outcome is the toolkit's`,
      ({ work }) =>
        Effect.gen(function*() {
          const { direct, through } = yield* bothWays(tool, work, { count: "3" })
          assert.deepStrictEqual(direct, through)
          assert.isTrue(direct.results.length + direct.reasons.length > 0)
        })
    )

    it.effect(`with failure mode "${tool.failureMode}", and arguments that do not fit: the toolkit refuses them`, () =>
      Effect.gen(function*() {
        const { direct, through } = yield* bothWays(tool, () => Effect.succeed(1), {})
        assert.deepStrictEqual(direct, through)
        assert.include(JSON.stringify(direct), "ToolParameterValidationError")
      }))
  }

  it.effect("of a name that no tool has: the toolkit refuses it", () =>
    Effect.gen(function*() {
      const toolkit = Toolkit.make()
      const handlers = directHandlers(yield* toolkit, Context.empty())
      const exit = yield* Effect.exit(handlers.handle("work", {}, "call-1", () => Effect.void))
      assert.include(JSON.stringify(exit), "ToolNotFoundError")
    }))

  it.effect("says nothing more once it is over", () =>
    Effect.gen(function*() {
      let later: Effect.Effect<void> = Effect.void
      const toolkit = Toolkit.make(Failing)
      const services = yield* Effect.provideService(
        toolkit.toHandlers({
          work: ({ count }, { preliminary }) =>
            Effect.sync(() => {
              later = preliminary(9)
              return count
            })
        }),
        Desk,
        { name: "desk" }
      )
      // cast: `Handlers` forgets which tools there are.
      const made = (yield* Effect.provideContext(toolkit, services)) as unknown as Toolkit.WithHandler<
        Record<string, Tool.Any>
      >
      const results: Array<unknown> = []
      const take = ({ encodedResult }: ToolCall.Result) => Effect.sync(() => void results.push(encodedResult))
      yield* directHandlers(made, services).handle("work", { count: "3" }, "call-1", take)
      yield* later
      assert.deepStrictEqual(results, ["3"])
    }))
})
