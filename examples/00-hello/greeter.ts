import { Effect, Schema } from "effect"
import { Agent, App, Event, Run } from "fastagentic"

class Greeter extends Agent.make("greeter", {
  description: "Greets a person, after asking whether it may",
  payload: { name: Schema.NonEmptyString }
}) {}

const GreeterLayer = Greeter.toLayer(Effect.fn(function*({ name }) {
  yield* Run.emit(Event.token(`Hello, ${name}. `))
  const mood = yield* Run.step("mood", Effect.succeed("fine")) // journaled: never runs twice
  const ok = yield* Run.interrupt("ok", { schema: Schema.Boolean }) // pauses over any restart; a denial answers 403
  return `${name} is ${mood}: ${ok}`
}))

class Hello extends App.make("hello", { version: "1.0.0", agents: [Greeter] }) {}

export default Hello.provide(GreeterLayer) // a handler too few does not compile
