import {
  Agent,
  App,
  type Auth,
  Budget,
  Content,
  Event,
  File,
  RateLimit,
  Run,
  Runtime,
  ToolCall
} from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type * as HttpRouter from "effect/http/HttpRouter"
import { serve } from "./fixture.ts"
import { people } from "./http/lab.ts"
import { layerStores } from "./stores.ts"

export const png = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10, 0, 255])

/** Turns the bytes of a photo around. */
export const Mirror = Tool.make("mirror", {
  description: "Mirrors a photo",
  parameters: Schema.Struct({ photo: File.make({ mediaTypes: ["image/png"] }) }),
  success: Content.List,
  dependencies: [Run.CurrentRun]
})

const Tools = Toolkit.make(Mirror)

/** Gives a photo to a tool, shows what came back, and answers with text, the photo, a link and data. */
export class Look extends Agent.make("look", {
  description: "Looks at a photo",
  payload: {
    photo: File.make({ mediaTypes: ["image/*"], maxBytes: 1_000 }),
    note: Schema.optionalKey(Schema.String),
    times: Schema.optionalKey(Schema.Int)
  },
  success: Content.List
}) {}

/** Answers with the message itself. */
export class Repeat extends Agent.make("repeat", {
  description: "Repeats a message",
  payload: { message: Content.List },
  success: Content.List
}) {}

export class Desk extends App.make("desk", { version: "1.0.0", agents: [Look, Repeat], tools: Tools }) {}

const handlers = Layer.mergeAll(
  Look.toLayer(Effect.fn(function*({ note = "", photo, times = 1 }) {
    const call = { toolCallId: "mirror-1", name: "mirror", arguments: { photo: { ...photo } } }
    const kit = yield* Tools
    const { result } = yield* Effect.orDie(ToolCall.invoke(ToolCall.handlersOf(kit), call))
    const mirrored = yield* Effect.orDie(Schema.decodeUnknownEffect(Content.List)(result))
    yield* Run.emit(Event.content(mirrored))
    return [
      Content.text(`${note} ${photo.size} ${times}`.trim(), { annotations: { audience: ["user"] } }),
      ...mirrored,
      Content.link("https://example.com/help", { title: "Help" }),
      Content.data({ times })
    ]
  })),
  Repeat.toLayer(({ message }) => Effect.succeed(message))
)

const tools = Tools.toLayer({
  mirror: Effect.fn(function*({ photo }) {
    const bytes = (yield* Effect.orDie(File.read(photo))).toReversed()
    return [File.toContent(yield* File.save({ bytes, mediaType: "image/png", name: "mirrored.png" }))]
  })
})

/** Serves the app to the people of the lab. */
export const serveDesk = <E>(
  routes: Layer.Layer<never, E, HttpRouter.HttpRouter | Runtime.Runtime | Auth.Auth>,
  stores: typeof layerStores = layerStores
) =>
  serve(
    routes.pipe(
      Layer.provide(
        Runtime.layer(Desk).pipe(
          Layer.provide(handlers),
          Layer.provide(tools),
          Layer.provideMerge(Layer.mergeAll(stores, people, RateLimit.layerUnlimited, Budget.layerUnlimited))
        )
      )
    )
  )
