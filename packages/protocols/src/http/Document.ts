// The OpenAPI 3.1 document of an app, through `effect/http-api`.
import type { Callable, Fusion, PromptEntry, ResourceEntry } from "@fastagentic/core/app/Fusion"
import * as Resource from "@fastagentic/core/app/Resource"
import type { Scheme } from "@fastagentic/core/door/Auth"
import * as Event from "@fastagentic/core/run/Event"
import { Answer } from "@fastagentic/core/run/Interrupt"
import { Schema } from "effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as AgentRoutes from "./AgentRoutes.ts"
import * as AuditRoutes from "./AuditRoutes.ts"
import { openApiCleanup } from "./internal/openApiCleanup.ts"
import { Problem } from "./Problem.ts"
import * as RunRoutes from "./RunRoutes.ts"
import * as ScheduleRoutes from "./ScheduleRoutes.ts"
import * as Schemas from "./Schemas.ts"
import * as UsageRoute from "./UsageRoute.ts"

const problem = Problem.pipe(HttpApiSchema.asJson({ contentType: "application/problem+json" }))
const problems = (...statuses: ReadonlyArray<number>) =>
  [...new Set(statuses)].sort().map((status) => problem.annotate({ httpApiStatus: status }))

const always = [400, 401, 403, 413, 415, 429, 500, 503] as const
const run = Schemas.Run
const RunEvent = Event.RunEvent.annotate({ identifier: "RunEvent" })
const suspended = Schemas.SuspendedRun.annotate({ httpApiStatus: 202 })
const accepted = Schemas.Run.annotate({ httpApiStatus: 202 })
const journal = HttpApiSchema.StreamSse({
  events: Schema.Struct({ id: Schema.optionalKey(Schema.String), event: Schema.String, data: Schema.String })
})
const idempotency = {
  "idempotency-key": Schema.optionalKey(Schema.String),
  "x-thread-id": Schema.optionalKey(Schema.String)
}

const agentEndpoints = (named: Named) => (callable: Callable) => {
  const { identifier } = callable
  const payload = callable.payload.schema
  const error = problems(...always, 404, 409, ...callable.errors.map(({ status }) => status))
  return [
    HttpApiEndpoint.post(named(identifier), `/agents/${identifier}`, {
      payload,
      query: AgentRoutes.CallQuery.fields,
      headers: idempotency,
      success: [callable.success.schema, suspended],
      error
    }).annotateMerge(OpenApi.annotations({ summary: callable.description })),
    HttpApiEndpoint.post(named(`${identifier}.stream`), `/agents/${identifier}/stream`, {
      payload,
      query: AgentRoutes.CallQuery.fields,
      headers: idempotency,
      success: journal,
      error
    }).annotateMerge(OpenApi.annotations({ summary: `${callable.description}, as a stream of events` })),
    HttpApiEndpoint.post(named(`${identifier}.runs`), `/agents/${identifier}/runs`, {
      payload,
      query: AgentRoutes.StartQuery.fields,
      headers: idempotency,
      success: [accepted, suspended],
      error
    }).annotateMerge(OpenApi.annotations({ summary: `${callable.description}, in the background` }))
  ] as const
}

const toolEndpoint = (named: Named) => (callable: Callable) =>
  HttpApiEndpoint.post(named(callable.identifier), `/tools/${callable.identifier}`, {
    payload: callable.payload.schema,
    query: AgentRoutes.CallQuery.fields,
    headers: idempotency,
    success: [callable.success.schema, suspended],
    error: problems(...always, 404, 409, ...callable.errors.map(({ status }) => status))
  }).annotateMerge(OpenApi.annotations({ summary: callable.description }))

const resourceEndpoint = (named: Named) => ({ errors, resource, success }: ResourceEntry) => {
  const names = Resource.paramNames(resource.uriTemplate)
  const path = names.map((name) => `/:${name}`).join("")
  return HttpApiEndpoint.get(named(resource.identifier), `/resources/${resource.identifier}${path}`, {
    params: Object.fromEntries(names.map((name) => [name, Schema.String])),
    // Text is sent as it is, whatever it says.
    success: success.json["type"] === "string"
      ? Schema.String.pipe(HttpApiSchema.asText({ contentType: resource.mimeType }))
      : success.schema,
    error: problems(...always, 404, ...errors.map(({ status }) => status))
  }).annotateMerge(OpenApi.annotations({ summary: resource.description }))
}

const Messages = Schema.Struct({
  messages: Schema.Array(Schema.Struct({ role: Schema.Literals(["user", "assistant"]), text: Schema.String }))
})

const promptEndpoint = (named: Named) => ({ params, prompt }: PromptEntry) =>
  HttpApiEndpoint.post(named(prompt.identifier), `/prompts/${prompt.identifier}`, {
    payload: params.schema,
    success: Messages,
    error: problems(...always, 404)
  }).annotateMerge(OpenApi.annotations({ summary: prompt.description }))

const catalog = Schema.Struct({ identifier: Schema.String, description: Schema.String })
const list = (name: string, summary: string, named: Named) =>
  HttpApiEndpoint.get(named("list"), `/${name}`, { success: Schemas.pageOf(catalog), error: problems(...always) })
    .annotateMerge(OpenApi.annotations({ summary }))

const runId = { runId: Schema.String }
const about = problems(...always, 404, 409)

const runEndpoints = [
  HttpApiEndpoint.get("list", "/runs", {
    query: Schemas.RunQuery.fields,
    success: Schemas.pageOf(run),
    error: problems(...always)
  }),
  HttpApiEndpoint.get("get", "/runs/:runId", { params: runId, success: run, error: about }),
  HttpApiEndpoint.get("events", "/runs/:runId/events", {
    params: runId,
    query: { after: Schema.optionalKey(Schema.String) },
    headers: { "last-event-id": Schema.optionalKey(Schema.String) },
    success: [Schemas.pageOf(RunEvent), journal, HttpApiSchema.NoContent],
    error: about
  }),
  HttpApiEndpoint.post("cancel", "/runs/:runId/cancel", {
    params: runId,
    payload: Schema.Struct({ reason: Schema.optionalKey(Schema.String) }),
    success: run,
    error: about
  }),
  HttpApiEndpoint.post("resume", "/runs/:runId/resume", { params: runId, success: [run, accepted], error: about }),
  HttpApiEndpoint.get("checkpoints", "/runs/:runId/checkpoints", {
    params: runId,
    success: Schemas.pageOf(Schemas.Checkpoint),
    error: about
  }),
  HttpApiEndpoint.post("fork", "/runs/:runId/fork", {
    params: runId,
    payload: RunRoutes.Fork,
    headers: { "idempotency-key": Schema.optionalKey(Schema.String) },
    success: [accepted, suspended],
    error: about
  }).annotateMerge(OpenApi.annotations({ summary: "A new run that goes on from where this one was" })),
  HttpApiEndpoint.post("retry", "/runs/:runId/retry", {
    params: runId,
    success: [accepted, suspended],
    error: about
  }).annotateMerge(OpenApi.annotations({ summary: "A new run that goes on from where this one failed, once" })),
  HttpApiEndpoint.get("interrupts", "/runs/:runId/interrupts", {
    params: runId,
    success: Schemas.pageOf(Schemas.Interrupt),
    error: about
  }),
  HttpApiEndpoint.get("interrupt", "/runs/:runId/interrupts/:id", {
    params: { ...runId, id: Schema.String },
    success: Schemas.Interrupt,
    error: about
  }),
  HttpApiEndpoint.post("answer", "/runs/:runId/interrupts/:id", {
    params: { ...runId, id: Schema.String },
    payload: Answer,
    success: [run, accepted],
    error: about
  })
] as const

const pendingEndpoint = HttpApiEndpoint.get("pending", "/interrupts", {
  query: Schemas.PageQuery.fields,
  success: Schemas.pageOf(Schemas.Interrupt),
  error: problems(...always)
}).annotateMerge(OpenApi.annotations({ summary: "What waits for a decision that the caller may take" }))

const id = { id: Schema.String }

const createdSchedule = ScheduleRoutes.Details.annotate({ httpApiStatus: 201 })

const scheduleEndpoints = [
  HttpApiEndpoint.get("list", "/schedules", {
    success: Schemas.pageOf(ScheduleRoutes.Status),
    error: problems(...always)
  }).annotateMerge(OpenApi.annotations({ summary: "The schedules of the tenant, with the scope schedules:manage" })),
  HttpApiEndpoint.get("get", "/schedules/:id", { params: id, success: ScheduleRoutes.Details, error: about }),
  HttpApiEndpoint.post("create", "/schedules/:id", {
    params: id,
    payload: ScheduleRoutes.Request,
    success: [ScheduleRoutes.Details, createdSchedule],
    error: about
  }).annotateMerge(OpenApi.annotations({ summary: "Make a schedule whose runs act for the caller" })),
  HttpApiEndpoint.put("put", "/schedules/:id", {
    params: id,
    payload: ScheduleRoutes.Request,
    success: [ScheduleRoutes.Details, createdSchedule],
    error: about
  }).annotateMerge(OpenApi.annotations({ summary: "Make or replace a schedule; its runs act for the caller then" })),
  HttpApiEndpoint.delete("remove", "/schedules/:id", {
    params: id,
    success: HttpApiSchema.NoContent,
    error: about
  }).annotateMerge(OpenApi.annotations({ summary: "Remove a schedule; the runs that it has started stay" })),
  HttpApiEndpoint.post("run", "/schedules/:id/run", {
    params: id,
    headers: { "idempotency-key": Schema.optionalKey(Schema.String) },
    success: accepted,
    error: about
  }),
  HttpApiEndpoint.post("pause", "/schedules/:id/pause", { params: id, success: ScheduleRoutes.Status, error: about }),
  HttpApiEndpoint.post("resume", "/schedules/:id/resume", { params: id, success: ScheduleRoutes.Status, error: about })
] as const

const auditEndpoint = HttpApiEndpoint.get("list", "/audit", {
  query: AuditRoutes.Query.fields,
  success: Schemas.pageOf(Schemas.AuditEntry),
  error: problems(...always)
}).annotateMerge(OpenApi.annotations({ summary: "Who did what, for callers with the scope audit:read" }))

const usageEndpoint = HttpApiEndpoint.get("usage", "/usage", {
  query: UsageRoute.Query.fields,
  success: UsageRoute.Report,
  error: problems(...always)
}).annotateMerge(OpenApi.annotations({ summary: "What calls of models have used and cost" }))

const systemEndpoints = [
  usageEndpoint,
  HttpApiEndpoint.get("health", "/health", { success: Schema.Struct({ status: Schema.String }) }),
  HttpApiEndpoint.get("ready", "/ready", { success: Schema.Struct({ status: Schema.String }), error: problems(503) }),
  HttpApiEndpoint.get("metrics", "/metrics", {
    success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain" })),
    error: problems(401)
  })
] as const

/** Gives a name away once: names of agents may contain dots, and so may look like one of ours. */
const distinct = () => {
  const taken = new Set<string>()
  return (name: string) => {
    let free = name
    for (let count = 2; taken.has(free); count++) free = `${name}_${count}`
    taken.add(free)
    return free
  }
}

type Named = ReturnType<typeof distinct>

/** The API of an app as a value of `effect/http-api`, with the ways to show credentials that the server accepts. */
export const apiOf = (fusion: Fusion, schemes: ReadonlyArray<Scheme>) => {
  const [agents, tools, resources, prompts] = [distinct(), distinct(), distinct(), distinct()]
  return HttpApi.make(fusion.app.identifier).add(
    HttpApiGroup.make("agents").add(
      list("agents", "The agents", agents),
      ...Array.from(fusion.agents.values()).flatMap(agentEndpoints(agents))
    ),
    HttpApiGroup.make("tools").add(
      list("tools", "The tools", tools),
      ...Array.from(fusion.tools.values(), toolEndpoint(tools))
    ),
    HttpApiGroup.make("resources").add(
      list("resources", "The resources", resources),
      ...Array.from(fusion.resources.values(), resourceEndpoint(resources))
    ),
    HttpApiGroup.make("prompts").add(
      list("prompts", "The prompts", prompts),
      ...Array.from(fusion.prompts.values(), promptEndpoint(prompts))
    ),
    HttpApiGroup.make("runs").add(...runEndpoints),
    HttpApiGroup.make("interrupts").add(pendingEndpoint),
    HttpApiGroup.make("schedules").add(...scheduleEndpoints),
    HttpApiGroup.make("audit").add(auditEndpoint),
    HttpApiGroup.make("system").add(...systemEndpoints)
  ).annotateMerge(OpenApi.annotations({
    title: fusion.app.title,
    version: fusion.app.version,
    description: fusion.app.description === "" ? fusion.app.title : fusion.app.description,
    transform: openApiCleanup(schemes)
  }))
}
