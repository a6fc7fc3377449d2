import { ModelLoop, OfflineModel } from "@fastagentic/adapters/effect-ai"
import { Agent } from "@fastagentic/core"
import { Effect, Schema } from "effect"
import * as Toolkit from "effect/ai/Toolkit"
import { expect, test } from "tstyche"

const Verdict = Schema.Struct({ since: Schema.DateFromString })

class Judge extends Agent.make("judge", { description: "Judges", payload: {}, success: Verdict }) {}

const decided = ModelLoop.run({ prompt: "?", toolkit: Toolkit.empty, output: Judge.successSchema })
const talked = ModelLoop.run({ prompt: "?", toolkit: Toolkit.empty, plan: ModelLoop.plan(OfflineModel.layer) })

test("the output of a loop has the type of its schema, and is absent without one", () => {
  expect<Effect.Success<typeof decided>["output"]>().type.toBe<{ readonly since: Date }>()
  expect<Effect.Success<typeof talked>["output"]>().type.toBe<undefined>()
})

test("an agent may fail with the ends of a loop without declaring them", () => {
  expect(Judge.toLayer).type.toBeCallableWith(() => Effect.map(decided, ({ output }) => output))
})
