// Resources and prompts over REST.
import * as Resource from "@fastagentic/core/app/Resource"
import { NotDeclared, RunError } from "@fastagentic/core/run/RunError"
import { Effect } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"

/** `GET /resources/{identifier}/{param}/…`: parameters in the order of the URI template, each one path segment. */
export const readResource = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const path = exchange.request.url.split("?")[0] ?? ""
  const [, , identifier = "", ...segments] = path.split("/")
  const entry = exchange.runtime.fusion.resources.get(identifier)
  const names = entry === undefined ? [] : Resource.paramNames(entry.resource.uriTemplate)
  if (entry === undefined || names.length !== segments.length) {
    return yield* new RunError({
      reason: new NotDeclared({ kind: "resource", identifier: [identifier, ...segments].join("/") })
    })
  }
  let uri = entry.resource.uriTemplate
  for (const [index, name] of names.entries()) uri = uri.replace(`{${name}}`, () => segments[index] ?? "")
  const { content, mimeType } = yield* exchange.runtime.read(exchange.caller, uri)
  return typeof content === "string"
    ? HttpServerResponse.text(content, { contentType: `${mimeType}; charset=utf-8` })
    : HttpServerResponse.jsonUnsafe(content)
}))

/** `GET /resources`. */
export const listResources = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { resources } = yield* exchange.runtime.visibleTo(exchange.caller)
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

/** `GET /prompts`. */
export const listPrompts = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { prompts } = yield* exchange.runtime.visibleTo(exchange.caller)
  return HttpServerResponse.jsonUnsafe({
    items: Array.from(prompts.values(), ({ params, prompt }) => ({
      identifier: prompt.identifier,
      description: prompt.description,
      params: params.json
    })),
    next: null
  })
}))

/** `POST /prompts/{identifier}`. */
export const renderPrompt = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const params = yield* RequestContext.body(exchange)
  const messages = yield* exchange.runtime.render(exchange.caller, RequestContext.param(exchange, "identifier"), params)
  return HttpServerResponse.jsonUnsafe({ messages })
}))

/** `GET /agents` and `GET /tools`: what the caller may call, with its schemas. */
export const listCallables = (kind: "agents" | "tools") =>
  RequestContext.handle(Effect.fnUntraced(function*(exchange) {
    const offered = yield* exchange.runtime.visibleTo(exchange.caller)
    return HttpServerResponse.jsonUnsafe({
      items: Array.from(offered[kind].values(), (callable) => ({
        identifier: callable.identifier,
        description: callable.description,
        payload: callable.payload.json,
        success: callable.success.json,
        durable: callable.durable,
        examples: callable.examples
      })),
      next: null
    })
  }))
