// Lists of declarations, and reading resources and rendering prompts, over REST.
import type { Adapter } from "@fastagentic/core/app/AdapterCapabilities"
import type { Callable, PromptEntry, ResourceEntry } from "@fastagentic/core/app/Fusion"
import * as Resource from "@fastagentic/core/app/Resource"
import * as Content from "@fastagentic/core/run/Content"
import { NotDeclared, RunError } from "@fastagentic/core/run/RunError"
import { Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { AgentRegistry } from "../a2a/AgentRegistry.ts"
import { chatOf } from "../chat/ChatPayload.ts"
import { makeSearch } from "../internal/agentSearch.ts"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

/** Reads a resource; its parameters are path segments, in the order of the URI template. */
const readResource = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const path = context.request.url.split("?")[0] ?? ""
  const [, , identifier = "", ...segments] = path.split("/")
  const entry = context.runtime.fusion.resources.get(identifier)
  const names = entry === undefined ? [] : Resource.paramNames(entry.resource.uriTemplate)
  if (entry === undefined || names.length !== segments.length) {
    return yield* new RunError({
      reason: new NotDeclared({ kind: "resource", identifier: [identifier, ...segments].join("/") })
    })
  }
  // One pass over the template: a value that looks like a parameter takes no other value in.
  let index = 0
  const uri = entry.resource.uriTemplate.replaceAll(/\{[^{}]*\}/gu, () => segments[index++] ?? "")
  const { content, mimeType } = yield* context.runtime.read(context.caller, uri)
  return typeof content === "string"
    ? HttpServerResponse.text(content, { contentType: `${mimeType}; charset=utf-8` })
    : HttpServerResponse.jsonUnsafe(content)
}))

const listResources = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const { resources } = yield* context.runtime.visibleTo(context.caller)
  return HttpServerResponse.jsonUnsafe({
    items: Array.from(resources.values(), ({ params, resource }) => ({
      identifier: resource.identifier,
      description: resource.description,
      uriTemplate: resource.uriTemplate,
      mimeType: resource.mimeType,
      params: params.json
    })),
    next: null
  })
}))

const listPrompts = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const { prompts } = yield* context.runtime.visibleTo(context.caller)
  return HttpServerResponse.jsonUnsafe({
    items: Array.from(prompts.values(), ({ params, prompt }) => ({
      identifier: prompt.identifier,
      description: prompt.description,
      params: params.json
    })),
    next: null
  })
}))

const renderPrompt = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const params = yield* RequestContext.body(context)
  const messages = yield* context.runtime.render(context.caller, RequestContext.param(context, "identifier"), params)
  return HttpServerResponse.jsonUnsafe({ messages })
}))

const adapterOf = ({ capabilities, name }: Adapter) => ({ name, capabilities })

/** How messages of a chat front end reach an agent, or why none does. */
const chatBy = (callable: Callable) => {
  const chat = chatOf(callable)
  return chat._tag === "NoChat"
    ? { problem: chat.problem }
    : {
      field: chat.field,
      takes: chat.takes,
      requires: chat.requires,
      ...(callable.clientTools ? { clientTools: true } : {})
    }
}

/** A callable of the app, with its schemas. */
const described = (callable: Callable) => ({
  identifier: callable.identifier,
  description: callable.description,
  payload: callable.payload.json,
  success: callable.success.json,
  durable: callable.durable,
  examples: callable.examples,
  ...(callable.model === undefined ? {} : { model: callable.model }),
  ...(callable.adapter === undefined ? {} : { adapter: adapterOf(callable.adapter) })
})

/** Tools that the caller may call. */
const listTools = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const { tools } = yield* context.runtime.visibleTo(context.caller)
  return HttpServerResponse.jsonUnsafe({ items: Array.from(tools.values(), described), next: null })
}))

const AgentQuery = Schema.Struct({
  query: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(1_000))),
  tag: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))),
  /** Those of the app by default. */
  source: Schema.optionalKey(Schema.Literals(["app", "external", "all"]))
})

/** Agents that the caller may call, and those of other servers that the registry knows. */
const listAgents = RequestContext.handle(Effect.fnUntraced(function*(context) {
  const { source = "app", ...query } = yield* RequestContext.queryAs(context, AgentQuery)
  const { agents } = yield* context.runtime.visibleTo(context.caller)
  const fits = makeSearch(query)
  const own = source === "external" ? [] : [...agents.values()].filter((agent) => {
    const { tags = [], title } = agent.presentation
    return fits({ ...agent, tags, title })
  })
  const registry = yield* AgentRegistry
  const external = source === "app" ? [] : (yield* registry.external).filter(fits)
  return HttpServerResponse.jsonUnsafe({
    items: [
      ...own.map((agent) => ({
        ...described(agent),
        chat: chatBy(agent),
        ...(agent.presentation.title === undefined ? {} : { title: agent.presentation.title }),
        ...(agent.presentation.tags === undefined ? {} : { tags: agent.presentation.tags })
      })),
      ...external.map(({ listed: _listed, readAt, url, ...agent }) => ({
        ...agent,
        card: url,
        source: "external",
        readAt: new Date(readAt).toISOString()
      }))
    ],
    next: null
  })
}))

const Declaration = Schema.Struct({ identifier: Schema.String, description: Schema.String })

const listOf = (
  kind: "agents" | "tools" | "resources" | "prompts",
  summary: string,
  handler: RequestContext.Handler,
  query: typeof AgentQuery | undefined = undefined
) =>
  Route.make(
    kind,
    HttpApiEndpoint.get("list", `/${kind}`, {
      ...(query === undefined ? {} : { query }),
      success: Schemas.pageOf(Declaration),
      error: Responses.problems(...Responses.refusals)
    }).annotateMerge(Responses.summary(summary)),
    handler
  )

const role = Schema.Literals(["user", "assistant"])

const Messages = Schema.Struct({
  messages: Schema.Array(Schema.Union([
    Schema.Struct({ role, text: Schema.String }),
    Schema.Struct({ role, content: Content.List })
  ]))
})

const describeResource = (name: string, path: `/${string}`, { errors, resource, success }: ResourceEntry) => {
  const names = Resource.paramNames(resource.uriTemplate)
  const withParams: `/${string}` = `/${path.slice(1).replace("/*", "")}${names.map((one) => `/:${one}`).join("")}`
  return HttpApiEndpoint.get(name, withParams, {
    params: Object.fromEntries(names.map((one) => [one, Schema.String])),
    // A string is sent as text with the resource's own type, everything else as JSON.
    success: success.json["type"] === "string"
      ? Schema.String.pipe(HttpApiSchema.asText({ contentType: resource.mimeType }))
      : success.schema,
    error: Responses.problems(...Responses.refusals, 404, ...errors.map(({ status }) => status))
  }).annotateMerge(Responses.summary(resource.description))
}

export const routes: ReadonlyArray<Route.Route> = [
  listOf("agents", "The agents", listAgents, AgentQuery),
  listOf("tools", "The tools", listTools),
  listOf("resources", "The resources", listResources),
  Route.forEach({
    group: "resources",
    method: "GET",
    path: "/resources/:identifier/*",
    handler: readResource,
    declarations: ({ resources }) => resources.values(),
    identifierOf: ({ resource }) => resource.identifier,
    describe: describeResource
  }),
  listOf("prompts", "The prompts", listPrompts),
  Route.forEach({
    group: "prompts",
    method: "POST",
    path: "/prompts/:identifier",
    handler: renderPrompt,
    declarations: ({ prompts }) => prompts.values(),
    identifierOf: ({ prompt }: PromptEntry) => prompt.identifier,
    describe: (name, path, { params, prompt }) =>
      HttpApiEndpoint.post(name, path, {
        payload: params.schema,
        success: Messages,
        error: Responses.problems(...Responses.refusals, 404)
      }).annotateMerge(Responses.summary(prompt.description))
  })
]
