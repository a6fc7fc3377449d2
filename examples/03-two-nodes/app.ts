import { Effect, Schema } from "effect"
import { Agent, App, Event, Run } from "fastagentic"

export class Author extends Agent.make("author", {
  description: "Writes a book, chapter by chapter",
  payload: { title: Schema.NonEmptyString, chapters: Schema.Int }
}) {}

const AuthorLayer = Author.toLayer(Effect.fn(function*({ chapters, title }) {
  const writers: Array<string> = []
  for (let chapter = 1; chapter <= chapters; chapter++) {
    const writer = yield* Run.step(
      `chapter ${chapter}`,
      Effect.delay(Effect.succeed(`pid ${process.pid}`), "250 millis")
    )
    yield* Run.emit(Event.token(`chapter ${chapter} of ${title}, by ${writer}`))
    writers.push(writer)
  }
  return writers.join()
}))

export class Books extends App.make("books", { version: "1.0.0", agents: [Author] }) {}

export default Books.provide(AuthorLayer)
