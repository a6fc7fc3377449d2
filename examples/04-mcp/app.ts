import { Layer } from "effect"
import { Toolkit } from "effect/ai"
import { App } from "fastagentic"
import { Asking, AskingLayer } from "./asking.ts"
import {
  Asking as AskingPrompt,
  Data,
  ReadingLayer,
  Simple,
  StaticBinary,
  StaticText,
  Watched,
  WithArguments,
  WithImage,
  WithResource
} from "./reading.ts"
import { Showing, ShowingLayer } from "./showing.ts"
import { Working, WorkingLayer } from "./working.ts"

/** Everything that MCP can say, in one app: the official conformance suite runs against it. */
export class Everything extends App.make("everything", {
  version: "1.0.0",
  title: "Everything",
  description: "Shows every kind of content, asks its client, and takes its time",
  tools: Toolkit.merge(Showing, Asking, Working),
  resources: [StaticText, StaticBinary, Watched, Data],
  prompts: [Simple, WithArguments, WithResource, WithImage, AskingPrompt]
}) {}

export default Everything.provide(Layer.mergeAll(ShowingLayer, AskingLayer, WorkingLayer, ReadingLayer))
