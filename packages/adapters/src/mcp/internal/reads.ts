// Resources and prompts of a remote server. They are reads that change nothing: no step, no approval, but the time limit and the
// size limit of the connection. McpRemote.ts offers them.
import * as Content from "@fastagentic/core/run/Content"
import { Effect, Option, Schema } from "effect"
import { RemoteResultInvalid, type RequestError } from "../RemoteError.ts"
import type { Connection } from "./connection.ts"
import * as McpContent from "./content.ts"

const optional = Schema.optionalKey
const described = { title: optional(Schema.String), description: optional(Schema.String) }

/** @internal */
export const Resource = Schema.Struct({
  uri: Schema.String,
  name: Schema.String,
  mimeType: optional(Schema.String),
  ...described
})

/** @internal */
export const Template = Schema.Struct({
  uriTemplate: Schema.String,
  name: Schema.String,
  mimeType: optional(Schema.String),
  ...described
})

/** @internal */
export const Prompt = Schema.Struct({
  name: Schema.String,
  arguments: optional(Schema.Array(Schema.Struct({
    name: Schema.String,
    required: optional(Schema.Boolean),
    description: optional(Schema.String)
  }))),
  ...described
})

/** A message of a prompt. @internal */
export interface Message {
  readonly role: "user" | "assistant"
  readonly content: Content.Content
}

/** The entries of a server's list that fit. */
const listOf = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownOption(schema)
  return (entries: ReadonlyArray<unknown>): ReadonlyArray<S["Type"]> =>
    entries.flatMap((entry) => Option.toArray(decode(entry)))
}

const [resourcesOf, templatesOf, promptsOf] = [listOf(Resource), listOf(Template), listOf(Prompt)]

/** Lists and reads of one server. */
export const make = ({ request, server }: Connection, maxResultSize: number) => {
  const bounded = <A>(method: string, result: Effect.Effect<A, RequestError>) =>
    Effect.tap(result, (value) => {
      const size = JSON.stringify(value).length
      const problem = `it has ${size} characters, and at most ${maxResultSize} are taken`
      return size > maxResultSize ? Effect.fail(new RemoteResultInvalid({ server, method, problem })) : Effect.void
    })
  return {
    resources: Effect.map(
      request("resources/list", (client, options) => client.listResources(undefined, options)),
      ({ resources }) => resourcesOf(resources)
    ),
    resourceTemplates: Effect.map(
      request("resources/templates/list", (client, options) => client.listResourceTemplates(undefined, options)),
      ({ resourceTemplates }) => templatesOf(resourceTemplates)
    ),
    read: (uri: string): Effect.Effect<Content.List, RequestError> =>
      Effect.map(
        bounded(
          "resources/read",
          request("resources/read", (client, options) => client.readResource({ uri }, options))
        ),
        ({ contents }) => contents.map((one) => McpContent.ofResource(one))
      ),
    prompts: Effect.map(
      request("prompts/list", (client, options) => client.listPrompts(undefined, options)),
      ({ prompts }) => promptsOf(prompts)
    ),
    prompt: (name: string, args: Readonly<Record<string, string>> = {}) =>
      Effect.map(
        bounded(
          "prompts/get",
          request("prompts/get", (client, options) => client.getPrompt({ name, arguments: { ...args } }, options))
        ),
        ({ messages }) => messages.map(({ content, role }): Message => ({ role, content: McpContent.ofBlock(content) }))
      )
  }
}
