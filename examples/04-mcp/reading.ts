import { Effect, Layer, Schema } from "effect"
import { ClientRequest, Content, PromptTemplate, Resource } from "fastagentic"
import { image, note, pixel } from "./content.ts"

export class StaticText extends Resource.make("static-text", "test://static-text", {
  description: "A text that never changes"
}) {}

export class StaticBinary extends Resource.make("static-binary", "test://static-binary", {
  description: "An image that never changes",
  mimeType: "image/png",
  success: Schema.Uint8Array
}) {}

export class Watched extends Resource.make("watched-resource", "test://watched-resource", {
  description: "A text that changes"
}) {}

export class Data extends Resource.make("template", "test://template/{id}/data", {
  description: "The data of an id",
  params: { id: Schema.String },
  success: Schema.Struct({ id: Schema.String, templateTest: Schema.Boolean, data: Schema.String })
}) {}

export class Simple extends PromptTemplate.make("test_simple_prompt", { description: "A prompt without arguments" }) {}

export class WithArguments extends PromptTemplate.make("test_prompt_with_arguments", {
  description: "A prompt with two arguments",
  params: {
    arg1: Schema.String.annotate({ description: "First test argument" }),
    arg2: Schema.String.annotate({ description: "Second test argument" })
  }
}) {}

export class WithResource extends PromptTemplate.make("test_prompt_with_embedded_resource", {
  description: "A prompt with a file",
  params: { resourceUri: Schema.String.annotate({ description: "URI of the resource to embed" }) }
}) {}

export class WithImage
  extends PromptTemplate.make("test_prompt_with_image", { description: "A prompt with an image" })
{}

/** Asks its client while it is rendered. */
export class Asking extends PromptTemplate.make("test_input_required_result_prompt", {
  description: "A prompt that asks for its context"
}) {}

const says = (...content: Content.List) => [{ role: "user", content }] as const

export const ReadingLayer = Layer.mergeAll(
  StaticText.toLayer(() => Effect.succeed("This is the content of the static text resource.")),
  StaticBinary.toLayer(() => Effect.succeed(pixel)),
  Watched.toLayer(() => Effect.succeed("This text changes.")),
  Data.toLayer(({ id }) => Effect.succeed({ id, templateTest: true, data: `Data for ID: ${id}` })),
  Simple.toLayer(() => "This is a simple prompt for testing."),
  WithArguments.toLayer(({ arg1, arg2 }) => `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`, {
    complete: {
      arg1: (value) => Effect.succeed(["paris", "park", "party"].filter((word) => word.startsWith(value)))
    }
  }),
  Asking.toLayer(() =>
    ClientRequest.elicit("user_context", {
      message: "What context should the prompt use?",
      schema: Schema.Struct({ context: Schema.String })
    }).pipe(
      Effect.map(({ context }) => `Use this context: ${context}`),
      Effect.catchTag("ClientRefused", ({ reason }) => Effect.succeed(`There is no context: ${reason}`))
    )
  ),
  WithResource.toLayer(({ resourceUri }) =>
    Effect.succeed(says(
      note(`Embedded resource content for testing, of ${resourceUri}.`),
      Content.text("Please process the embedded resource above.")
    ))
  ),
  WithImage.toLayer(() => Effect.succeed(says(image, Content.text("Please analyze the image above."))))
)
