/**
 * The OpenAPI 3.1 document of an app, through `effect/http-api`.
 *
 * @since 0.1.0
 */
import type { Scheme } from "@fastagentic/core/Auth"
import * as Event from "@fastagentic/core/Event"
import type { Callable, Fusion } from "@fastagentic/core/Fusion"
import { Answer, Interrupt } from "@fastagentic/core/Interrupt"
import * as Resource from "@fastagentic/core/Resource"
import { Schema } from "effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import { Problem } from "./Problem.ts"
import * as Wire from "./Wire.ts"

const problem = Problem.pipe(HttpApiSchema.asJson({ contentType: "application/problem+json" }))
const problems = (...statuses: ReadonlyArray<number>) =>
  [...new Set(statuses)].sort().map((status) => problem.annotate({ httpApiStatus: status }))

const always = [400, 401, 403, 413, 429, 500, 503] as const
const run = Wire.Run
const suspended = Wire.SuspendedRun.annotate({ httpApiStatus: 202 })
const accepted = Wire.Run.annotate({ httpApiStatus: 202 })
const journal = HttpApiSchema.StreamSse({
  events: Schema.Struct({ id: Schema.optionalKey(Schema.String), event: Schema.String, data: Schema.String })
})
const idempotency = { "idempotency-key": Schema.optionalKey(Schema.String), "x-thread-id": Schema.optionalKey(Schema.String) }

const agentEndpoints = (callable: Callable) => {
  const { identifier } = callable
  const payload = callable.payload.schema
  const error = problems(...always, 404, 409, ...callable.errors.map(({ status }) => status))
  return [
    HttpApiEndpoint.post(`agents.${identifier}`, `/agents/${identifier}`, {
      payload,
      headers: idempotency,
      success: [callable.success.schema, suspended],
      error
    }).annotateMerge(OpenApi.annotations({ summary: callable.description })),
    HttpApiEndpoint.post(`agents.${identifier}.stream`, `/agents/${identifier}/stream`, {
      payload,
      headers: idempotency,
      success: journal,
      error
    }).annotateMerge(OpenApi.annotations({ summary: `${callable.description}, as a stream of events` })),
    HttpApiEndpoint.post(`agents.${identifier}.runs`, `/agents/${identifier}/runs`, {
      payload,
      headers: idempotency,
      success: [accepted, suspended],
      error
    }).annotateMerge(OpenApi.annotations({ summary: `${callable.description}, in the background` }))
  ] as const
}

const toolEndpoint = (callable: Callable) =>
  HttpApiEndpoint.post(`tools.${callable.identifier}`, `/tools/${callable.identifier}`, {
    payload: callable.payload.schema,
    headers: idempotency,
    success: [callable.success.schema, suspended],
    error: problems(...always, 404, 409, ...callable.errors.map(({ status }) => status))
  }).annotateMerge(OpenApi.annotations({ summary: callable.description }))

const resourceEndpoint = ({ errors, resource, success }: Fusion["resources"] extends ReadonlyMap<string, infer E> ? E : never) => {
  const names = Resource.paramNames(resource.uriTemplate)
  const path = names.map((name) => `/:${name}`).join("")
  return HttpApiEndpoint.get(`resources.${resource.identifier}`, `/resources/${resource.identifier}${path}`, {
    params: Object.fromEntries(names.map((name) => [name, Schema.String])),
    success: resource.mimeType === "application/json"
      ? success.schema
      : Schema.String.pipe(HttpApiSchema.asText({ contentType: resource.mimeType })),
    error: problems(...always, 404, ...errors.map(({ status }) => status))
  }).annotateMerge(OpenApi.annotations({ summary: resource.description }))
}

const Messages = Schema.Struct({
  messages: Schema.Array(Schema.Struct({ role: Schema.Literals(["user", "assistant"]), text: Schema.String }))
})

const promptEndpoint = ({ params, prompt }: Fusion["prompts"] extends ReadonlyMap<string, infer E> ? E : never) =>
  HttpApiEndpoint.post(`prompts.${prompt.identifier}`, `/prompts/${prompt.identifier}`, {
    payload: params.schema,
    success: Messages,
    error: problems(...always, 404)
  }).annotateMerge(OpenApi.annotations({ summary: prompt.description }))

const catalog = Schema.Struct({ identifier: Schema.String, description: Schema.String })
const list = (name: string, summary: string) =>
  HttpApiEndpoint.get(`${name}.list`, `/${name}`, { success: Wire.pageOf(catalog), error: problems(...always) })
    .annotateMerge(OpenApi.annotations({ summary }))

const runId = { runId: Schema.String }
const about = problems(...always, 404, 409)

const runEndpoints = [
  HttpApiEndpoint.get("runs.list", "/runs", {
    query: {
      agent: Schema.optionalKey(Schema.String),
      kind: Schema.optionalKey(Schema.Literals(["agent", "tool"])),
      state: Schema.optionalKey(Schema.String),
      threadId: Schema.optionalKey(Schema.String),
      after: Schema.optionalKey(Schema.String),
      limit: Schema.optionalKey(Schema.FiniteFromString)
    },
    success: Wire.pageOf(run),
    error: problems(...always)
  }),
  HttpApiEndpoint.get("runs.get", "/runs/:runId", { params: runId, success: run, error: about }),
  HttpApiEndpoint.get("runs.events", "/runs/:runId/events", {
    params: runId,
    query: { after: Schema.optionalKey(Schema.String) },
    headers: { "last-event-id": Schema.optionalKey(Schema.String) },
    success: [Wire.pageOf(Event.RunEvent), journal, HttpApiSchema.NoContent],
    error: about
  }),
  HttpApiEndpoint.post("runs.cancel", "/runs/:runId/cancel", {
    params: runId,
    payload: Schema.Struct({ reason: Schema.optionalKey(Schema.String) }),
    success: run,
    error: about
  }),
  HttpApiEndpoint.post("runs.resume", "/runs/:runId/resume", { params: runId, success: [run, accepted], error: about }),
  HttpApiEndpoint.get("runs.interrupts", "/runs/:runId/interrupts", {
    params: runId,
    success: Wire.pageOf(Interrupt),
    error: about
  }),
  HttpApiEndpoint.post("runs.answer", "/runs/:runId/interrupts/:id", {
    params: { ...runId, id: Schema.String },
    payload: Answer,
    success: [run, accepted],
    error: about
  })
] as const

const systemEndpoints = [
  HttpApiEndpoint.get("health", "/health", { success: Schema.Struct({ status: Schema.String }) }),
  HttpApiEndpoint.get("ready", "/ready", { success: Schema.Struct({ status: Schema.String }), error: problems(503) }),
  HttpApiEndpoint.get("metrics", "/metrics", {
    success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain" })),
    error: problems(401)
  })
] as const

/** The API of an app as a value of `effect/http-api`. @category constructors @since 0.1.0 */
export const apiOf = (fusion: Fusion) =>
  HttpApi.make(fusion.app.identifier).add(
    HttpApiGroup.make("agents").add(
      list("agents", "The agents"),
      ...Array.from(fusion.agents.values()).flatMap(agentEndpoints)
    ),
    HttpApiGroup.make("tools").add(list("tools", "The tools"), ...Array.from(fusion.tools.values(), toolEndpoint)),
    HttpApiGroup.make("resources").add(
      list("resources", "The resources"),
      ...Array.from(fusion.resources.values(), resourceEndpoint)
    ),
    HttpApiGroup.make("prompts").add(list("prompts", "The prompts"), ...Array.from(fusion.prompts.values(), promptEndpoint)),
    HttpApiGroup.make("runs").add(...runEndpoints),
    HttpApiGroup.make("system").add(...systemEndpoints)
  ).annotateMerge(OpenApi.annotations({
    title: fusion.app.title,
    version: fusion.app.version,
    ...(fusion.app.description === "" ? {} : { description: fusion.app.description })
  }))

const securitySchemes = {
  bearer: { type: "http", scheme: "bearer" },
  apiKey: { type: "apiKey", in: "header", name: "x-api-key" }
} as const

/** The document, with the ways to show credentials that the server accepts. @category constructors @since 0.1.0 */
export const documentOf = (fusion: Fusion, schemes: ReadonlyArray<Scheme>) => {
  const document = OpenApi.fromApi(apiOf(fusion))
  if (schemes.length === 0) return document
  return {
    ...document,
    security: schemes.map((scheme) => ({ [scheme]: [] })),
    components: {
      ...document.components,
      securitySchemes: Object.fromEntries(schemes.map((scheme) => [scheme, securitySchemes[scheme]]))
    }
  }
}
