import { Effect, Layer, Schema } from "effect"
import { Resource } from "fastagentic"
import { readdir, readFile } from "node:fs/promises"
import { PageNotFound } from "./domain.ts"

export class Handbook extends Resource.make("handbook", "handbook://{topic}", {
  description: "A page of the support handbook: returns, shipping, refunds or warranty",
  params: { topic: Schema.NonEmptyString },
  error: PageNotFound,
  mimeType: "text/markdown"
}) {}

const folder = new URL("handbook/", import.meta.url)

/** Pages are read once, at the start: a topic is a key and never a path. */
const pages = Effect.gen(function*() {
  const files = yield* Effect.promise(() => readdir(folder))
  const read = Effect.fnUntraced(function*(file: string) {
    const text = yield* Effect.promise(() => readFile(new URL(file, folder), "utf8"))
    return [file.slice(0, -".md".length), text] as const
  })
  return new Map(yield* Effect.forEach(files.filter((file) => file.endsWith(".md")), read))
})

export const HandbookLayer = Layer.unwrap(Effect.map(pages, (pages) =>
  Handbook.toLayer(({ topic }) => {
    const page = pages.get(topic)
    return page === undefined ? Effect.fail(new PageNotFound({ topic })) : Effect.succeed(page)
  })))
