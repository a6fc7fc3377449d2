import { Agent, Run } from "@fastagentic/core"
import { type Effect, type Option, Schema } from "effect"
import { expect, test } from "tstyche"

class Writer extends Agent.make("writer", {
  description: "Writes",
  payload: {},
  signals: { steer: Schema.String, at: Schema.DateFromString }
}) {}
const Mute = Agent.make("mute", { description: "Takes nothing", payload: {} })

test("a message has the type that its agent declares", () => {
  expect(Run.receive(Writer, "steer")).type.toBe<Effect.Effect<string, never, Run.CurrentRun>>()
  expect(Run.poll(Writer, "at")).type.toBe<Effect.Effect<Option.Option<Date>, never, Run.CurrentRun>>()
  expect(Run.receive("steer")).type.toBe<Effect.Effect<unknown, never, Run.CurrentRun>>()
})

test("a message that the agent does not declare cannot be received", () => {
  expect(Run.receive).type.not.toBeCallableWith(Writer, "other")
  expect(Run.receive).type.not.toBeCallableWith(Mute, "steer")
})
