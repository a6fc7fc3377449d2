/**
 * `fastagentic export openapi|mcp|a2a|types`: what a running server or an app says of itself, as a file.
 *
 * @since 0.1.0
 */
import { AppTest } from "@fastagentic/protocols/http"
import { Console, Effect, Layer, Option } from "effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as AppFile from "./AppFile.ts"
import { typesOf } from "./internal/openApiTypes.ts"
import * as Output from "./internal/output.ts"
import * as Documents from "./internal/remote/documents.ts"
import * as Server from "./internal/remote/server.ts"

const sources = {
  ...Server.flags,
  app: Flag.String("app").pipe(
    Flag.withDescription("A module whose default export is App.provide(…), in place of a running server"),
    Flag.optional
  )
}

/** Reads a document of a running server, or of an app that is started in memory for it. */
const read = (name: Documents.Name, { app, ...server }: Server.Server & { readonly app: Option.Option<string> }) =>
  Option.match(app, {
    onNone: () => Documents.read(name, server),
    onSome: (file) =>
      Effect.flatMap(
        publicUrl(server.url),
        (url) => Effect.flatMap(AppFile.load(file), (runnable) => inMemory(name, { ...server, url }, runnable))
      )
  })

/** The address that clients of the document will use: what `run --public-url` takes. */
const publicUrl = (text: string) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url !== undefined && /^https?:$/u.test(url.protocol) &&
      url.username + url.password + url.search + url.hash === ""
    ? Effect.succeed(url.href.replace(/\/+$/u, ""))
    : Effect.fail(
      new Server.NotDone({ problem: "--url must be an http or https URL without credentials, query and fragment" })
    )
}

/** The addresses in the document are those of `--url`. */
const inMemory = (name: Documents.Name, server: Server.Server, runnable: AppFile.AnyRunnable) =>
  Effect.flatMap(
    Layer.build(AppTest.layer(runnable)),
    (context) => Effect.provideContext(Documents.read(name, { ...server, url: AppTest.url }), context)
  ).pipe(
    Effect.scoped,
    Effect.map((document): unknown => JSON.parse(JSON.stringify(document).replaceAll(AppTest.url, server.url)))
  )

const document = (name: Documents.Name, description: string) =>
  Command.make(
    name,
    { ...sources, json: Output.json },
    ({ json, ...options }) =>
      Effect.flatMap(read(name, options), (value) =>
        Output.print(json, value, (document) => JSON.stringify(document, undefined, 2)))
  ).pipe(Command.withDescription(description))

const types = Command.make(
  "types",
  sources,
  (options) =>
    Effect.flatMap(read("openapi", options), (document) => Console.log(Output.safe(typesOf(document).trimEnd())))
).pipe(Command.withDescription("TypeScript types of the REST API, for a project without this package"))

/** @category commands @since 0.1.0 */
export const command = Command.make("export").pipe(
  Command.withDescription("What an app says of itself, that of a running server or of a file: as JSON, or as types"),
  Command.withSubcommands([
    document("openapi", "The OpenAPI document"),
    document("mcp", "The tools, resources and prompts that an MCP client of this token sees"),
    document("a2a", "The A2A agent card"),
    types
  ]),
  Command.provide(FetchHttpClient.layer)
)
