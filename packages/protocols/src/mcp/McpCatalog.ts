// The MCP lists of an app and the declaration behind each name, compiled once and filtered per caller.
import type * as Fusion from "@fastagentic/core/app/Fusion"
import type { Presentation, Ui } from "@fastagentic/core/app/Presentation"
import * as Resource from "@fastagentic/core/app/Resource"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Instance, Runtime, Target } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Predicate, Schema } from "effect"
import { forHosts } from "./McpSchema.ts"
import { declaredIn, type ParamHeader } from "./ParamHeaders.ts"
import * as RunToolList from "./RunToolList.ts"

export interface Catalog {
  readonly server: Sdk.Implementation
  readonly instructions: string
  readonly capabilities: Sdk.ServerCapabilities
  /** The names of the tools that read, answer and cancel runs. */
  readonly runTools: ReadonlySet<string>
  /** Whether a call may become a task. */
  readonly hasTasks: boolean
  readonly tools: Array<Sdk.Tool>
  readonly resources: Array<Sdk.Resource>
  readonly resourceTemplates: Array<Sdk.ResourceTemplateType>
  readonly prompts: Array<Sdk.Prompt>
  /** The tool, or the agent listed as a tool, of each tool name. */
  readonly callables: ReadonlyMap<string, Fusion.Callable>
  /** The headers that repeat arguments of a tool. */
  readonly headers: ReadonlyMap<string, ReadonlyArray<ParamHeader>>
  /** The values of a prompt's argument or a template's variable that is an enumeration. */
  readonly completions: ReadonlyMap<string, ReadonlyArray<string>>
  /** The resource of each URI template. */
  readonly templates: ReadonlyMap<string, string>
  /** Whether the resource of this URI is bytes, as text in base64. */
  readonly isBinary: (uri: string) => boolean
  /** The page of an interface has what its host needs to know of it. */
  readonly metaOf: (uri: string) => { readonly ui?: Ui }
  /** The resource that this URI names. */
  readonly resourceOf: (uri: string) => string | undefined
}

/** MCP Apps: tools whose results a page shows. */
const uiExtension = "io.modelcontextprotocol/ui"

/** The key of `completions`; `owner` is the prompt's name or the resource's URI template. */
export const completionKey = (owner: string, argument: string): string => `${owner}\n${argument}`

/** Compiles the catalog of an app; every list is in the order of its names. */
export const fromFusion = (fusion: Fusion.Fusion): Catalog => {
  const callables = listed(fusion)
  const resources = inOrder([...fusion.resources.values()], ({ resource }) => resource.identifier)
  const prompts = inOrder([...fusion.prompts.values()], ({ prompt }) => prompt.identifier)
  const isTemplate = ({ resource }: Fusion.ResourceEntry) => Resource.paramNames(resource.uriTemplate).length > 0
  const binary = resources
    .filter(({ success }) => success.json["contentEncoding"] === "base64")
    .map(({ resource }) => resource.uriTemplate)
  const completions = new Map([
    ...resources.flatMap(({ params, resource }) => valuesOf(resource.uriTemplate, params.json)),
    ...prompts.flatMap(({ params, prompt }) => valuesOf(prompt.identifier, params.json))
  ])
  const hasTasks = [...callables.values()].some(({ durable }) => durable)
  // A tool of the app has its name first.
  const runTools = hasTasks && fusion.app.mcpRunTools
    ? RunToolList.tools.filter(({ name }) => !callables.has(name))
    : []
  const hasInterfaces = resources.some(({ resource }) => resource.uriTemplate.startsWith("ui://"))
  const takesArguments = resources.some(isTemplate) ||
    prompts.some(({ params }) => Object.keys(propertiesOf(params.json)).length > 0)
  return {
    server: {
      name: fusion.app.identifier,
      version: fusion.app.version,
      title: fusion.app.title,
      ...iconsOf(fusion.app)
    },
    instructions: fusion.app.description,
    hasTasks,
    capabilities: {
      ...(callables.size === 0 ? {} : { tools: {}, logging: {} }),
      ...(resources.length === 0 ? {} : { resources: { subscribe: true, listChanged: true } }),
      ...(prompts.length === 0 ? {} : { prompts: {} }),
      ...(takesArguments ? { completions: {} } : {}),
      ...(hasInterfaces ? { extensions: { [uiExtension]: {} } } : {})
    },
    tools: inOrder([
      ...Array.from(callables, ([name, callable]) => toolOf(name, callable)),
      ...runTools
    ], ({ name }) => name).slice(),
    runTools: new Set(runTools.map(({ name }) => name)),
    resources: resources.filter((entry) => !isTemplate(entry)).map(({ resource }) => ({
      uri: resource.uriTemplate,
      ...descriptionOf(resource)
    })),
    resourceTemplates: resources.filter(isTemplate).map(({ resource }) => ({
      uriTemplate: resource.uriTemplate,
      ...descriptionOf(resource)
    })),
    prompts: prompts.map(promptOf),
    callables,
    headers: new Map(
      Array.from(callables).flatMap(([name, { payload }]) => {
        const declared = declaredIn(payload.json)
        return declared.length === 0 ? [] : [[name, declared] as const]
      })
    ),
    completions,
    templates: new Map(resources.map(({ resource }) => [resource.uriTemplate, resource.identifier])),
    isBinary: (uri) => binary.some((template) => Resource.matchUri(template, uri) !== undefined),
    metaOf: (uri) => {
      if (!uri.startsWith("ui://")) return {}
      const ui = resources.find(({ resource }) => Resource.matchUri(resource.uriTemplate, uri) !== undefined)
        ?.resource.presentation.ui
      return ui === undefined ? {} : { ui }
    },
    resourceOf: (uri) =>
      resources.find(({ resource }) => Resource.matchUri(resource.uriTemplate, uri) !== undefined)?.resource.identifier
  }
}

/** A resource of a template, as the list of resources shows it. */
export const instanceOf = (
  { resourceTemplates }: Catalog,
  { description, resource, size, title, uri }: Instance
): Sdk.Resource => {
  const { uriTemplate: _uriTemplate, ...template } = resourceTemplates.find(({ name }) => name === resource) ??
    { name: resource, uriTemplate: "" }
  return {
    ...template,
    uri,
    name: uri,
    ...(title === undefined ? {} : { title }),
    ...(description === undefined ? {} : { description }),
    ...(size === undefined ? {} : { size })
  }
}

/** The part of the catalog that the caller may call. */
export const visibleTo = (
  runtime: Runtime["Service"],
  catalog: Catalog,
  caller: Caller
): Effect.Effect<Catalog, RunError> =>
  Effect.map(runtime.visibleTo(caller), (some) => some === runtime.fusion ? catalog : fromFusion(some))

const Calling = Schema.Union([
  Schema.Struct({ method: Schema.Literal("tools/call"), params: Schema.Struct({ name: Schema.String }) }),
  Schema.Struct({ method: Schema.Literal("prompts/get"), params: Schema.Struct({ name: Schema.String }) }),
  Schema.Struct({ method: Schema.Literal("resources/read"), params: Schema.Struct({ uri: Schema.String }) })
])
const isCalling = Schema.is(Calling)

/** The declaration that a message calls, if any. */
export const targetOf = (catalog: Catalog, message: unknown): Target | undefined => {
  if (!isCalling(message)) return undefined
  switch (message.method) {
    case "tools/call":
      return catalog.callables.get(message.params.name)
    case "prompts/get":
      return { kind: "prompt", identifier: message.params.name }
    case "resources/read": {
      const identifier = catalog.resourceOf(message.params.uri)
      return identifier === undefined ? undefined : { kind: "resource", identifier }
    }
  }
}

const inOrder = <A>(values: ReadonlyArray<A>, nameOf: (value: A) => string): ReadonlyArray<A> =>
  values.toSorted((a, b) => nameOf(a) < nameOf(b) ? -1 : 1)

const listed = (fusion: Fusion.Fusion): ReadonlyMap<string, Fusion.Callable> =>
  new Map(inOrder(
    [...fusion.tools.values(), ...fusion.agents.values()].flatMap((callable) =>
      callable.mcpTool === undefined ? [] : [[callable.mcpTool, callable] as const]
    ),
    ([name]) => name
  ))

const toolOf = (
  name: string,
  { annotations, description, durable, payload, presentation, success, task }: Fusion.Callable
): Sdk.Tool => ({
  name,
  ...iconsOf(presentation),
  ...metaOf(presentation),
  ...(annotations.title === undefined ? {} : { title: annotations.title }),
  description,
  inputSchema: inputSchemaOf(payload.json),
  ...(isObject(success.json) ? { outputSchema: { ...forHosts(success.json), type: "object" } } : {}),
  ...(durable ? { execution: { taskSupport: task === "required" ? "required" : "optional" } } : {}),
  annotations: {
    readOnlyHint: annotations.readonly,
    destructiveHint: annotations.destructive,
    idempotentHint: annotations.idempotent,
    openWorldHint: annotations.openWorld
  }
})

export const iconsOf = ({ icons = [] }: Pick<Presentation, "icons">) =>
  icons.length === 0
    ? {}
    : { icons: icons.map(({ sizes, ...icon }) => ({ ...icon, ...(sizes === undefined ? {} : { sizes: [...sizes] }) })) }

const metaOf = ({ meta, ui }: Presentation) =>
  meta === undefined && ui === undefined ? {} : { _meta: { ...meta, ...(ui === undefined ? {} : { ui }) } }

const titleOf = ({ title }: Presentation) => title === undefined ? {} : { title }

/** The schema of a tool without arguments refuses all arguments. */
const inputSchemaOf = (json: Fusion.Document): Sdk.Tool["inputSchema"] =>
  Object.keys(propertiesOf(json)).length === 0 && takesNothing(json)
    ? { type: "object", properties: {}, additionalProperties: false }
    : { ...forHosts(json), type: "object" }

/** Whether a schema without named fields allows none; maps and documents of other keywords allow some. */
const takesNothing = (json: Fusion.Document): boolean => {
  const { additionalProperties: others = false } = json
  const allows = ["patternProperties", "propertyNames", "minProperties", "$ref", "anyOf", "oneOf", "allOf", "not", "if"]
  return allows.every((keyword) => json[keyword] === undefined) &&
    (others === false || (Predicate.isObject(others) && Predicate.hasProperty(others, "not")))
}

/** Whether a value of the schema can be structured content: one object, not a choice of shapes. */
export const isObject = (json: Fusion.Document): boolean =>
  json["type"] === "object" && json["anyOf"] === undefined && json["oneOf"] === undefined && json["allOf"] === undefined

const descriptionOf = (resource: Resource.Any) => ({
  name: resource.identifier,
  description: resource.description,
  mimeType: resource.mimeType,
  ...titleOf(resource.presentation),
  ...iconsOf(resource.presentation),
  ...annotationsOf(resource.presentation),
  ...metaOf(resource.presentation)
})

const annotationsOf = ({ annotations }: Presentation) => {
  if (annotations === undefined) return {}
  const { audience, ...others } = annotations
  return { annotations: { ...others, ...(audience === undefined ? {} : { audience: [...audience] }) } }
}

const promptOf = ({ params, prompt }: Fusion.PromptEntry): Sdk.Prompt => {
  const required = Array.isArray(params.json["required"]) ? params.json["required"] : []
  return {
    name: prompt.identifier,
    description: prompt.description,
    ...titleOf(prompt.presentation),
    ...iconsOf(prompt.presentation),
    ...metaOf(prompt.presentation),
    arguments: Object.entries(propertiesOf(params.json)).map(([name, schema]) => ({
      name,
      ...(typeof schema["description"] === "string" ? { description: schema["description"] } : {}),
      required: required.includes(name)
    }))
  }
}

const propertiesOf = (json: Fusion.Document): { readonly [name: string]: Fusion.Document } => {
  const { properties } = forHosts(json)
  return Object.fromEntries(
    isDocument(properties)
      ? Object.entries(properties).map(([name, schema]) => [name, isDocument(schema) ? schema : {}])
      : []
  )
}

const isDocument = (value: unknown): value is Fusion.Document =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const valuesOf = (owner: string, json: Fusion.Document): ReadonlyArray<readonly [string, ReadonlyArray<string>]> =>
  Object.entries(propertiesOf(json)).flatMap(([argument, schema]) => {
    const values = Array.isArray(schema["enum"]) ? schema["enum"] : []
    return values.length === 0 ? [] : [[completionKey(owner, argument), values.map(String)] as const]
  })
