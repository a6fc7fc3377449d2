/**
 * The agent card: the agents of an app as skills, from the same declarations as every other protocol.
 *
 * @since 0.1.0
 */
import type { AdapterCapabilities } from "@fastagentic/core/app/AdapterCapabilities"
import type * as Fusion from "@fastagentic/core/app/Fusion"
import type * as Auth from "@fastagentic/core/door/Auth"
import type { AgentCard, AgentSkill, OAuthFlows, SecurityRequirement, SecurityScheme } from "./A2aSchema.ts"
import * as A2aSkill from "./A2aSkill.ts"

const securitySchemes: { readonly [S in Auth.Scheme]: SecurityScheme } = {
  bearer: { httpAuthSecurityScheme: { scheme: "Bearer" } },
  apiKey: { apiKeySecurityScheme: { location: "header", name: "X-API-Key" } },
  mutualTls: { mtlsSecurityScheme: { description: "A client certificate, checked by the proxy in front" } }
}

/**
 * The card of an app, or of one of its agents.
 *
 * **Details**
 *
 * Prompts belong to an app and not to an agent, so the default skill describes them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: {
  readonly fusion: Fusion.Fusion
  readonly skills: A2aSkill.Skills
  /** The declarations that the caller may call, for the extended card; everything by default. */
  readonly visible?: Fusion.Fusion | undefined
  readonly schemes: ReadonlyArray<Auth.Scheme>
  /** The issuers of the tokens that are accepted. */
  readonly issuers?: Auth.Auth["Service"]["issuers"]
  /** Whether push notifications are served. */
  readonly push?: boolean | undefined
  /** The address of the protocol, which all bindings share. */
  readonly url: string
  /** The address of gRPC, where it is served. */
  readonly grpc?: string | undefined
  /** Only this agent. */
  readonly only?: A2aSkill.Skill | undefined
}): AgentCard => {
  const { fusion, grpc, issuers = [], only, push = false, skills, url, visible = fusion } = options
  const { documentationUrl, provider } = fusion.app
  const schemes = schemesOf(options.schemes, issuers)
  const names = Object.keys(schemes)
  const listed = (only === undefined ? [...skills.values()] : [only])
    .filter(({ agent }) => visible.agents.has(agent.identifier))
  return {
    name: only === undefined ? fusion.app.title : only.agent.presentation.title ?? only.agent.identifier,
    description: only === undefined ? fusion.app.description : only.agent.description,
    version: fusion.app.version,
    ...(provider === undefined ? {} : { provider }),
    ...(documentationUrl === undefined ? {} : { documentationUrl }),
    ...iconOf(fusion, only),
    supportedInterfaces: ["1.0", "0.3"].flatMap((protocolVersion) => [
      ...["JSONRPC", "HTTP+JSON"].map((protocolBinding) => ({ url, protocolBinding, protocolVersion })),
      ...grpcOf(grpc, protocolVersion, only)
    ]),
    capabilities: {
      streaming: true,
      pushNotifications: push,
      extendedAgentCard: names.length > 0,
      ...adaptersOf(listed)
    },
    ...(names.length === 0 ? {} : { securitySchemes: schemes, securityRequirements: requirements(names, []) }),
    defaultInputModes: ["text/plain", "application/json"],
    defaultOutputModes: ["text/plain", "application/json"],
    skills: listed.map((skill) => skillOf(skill, visible, names, skill === A2aSkill.defaultOf(skills)))
  }
}

/** One address serves all agents over gRPC: an agent alone is a tenant of it, which version 0.3 does not have. */
const grpcOf = (
  url: string | undefined,
  protocolVersion: string,
  only: A2aSkill.Skill | undefined
): AgentCard["supportedInterfaces"] => {
  const shared = { url: url ?? "", protocolBinding: "GRPC", protocolVersion }
  if (url === undefined || (only !== undefined && protocolVersion === "0.3")) return []
  return [only === undefined ? shared : { ...shared, tenant: only.agent.identifier }]
}

/** A card has one icon, by its address: that of its agent, or of the app. */
const iconOf = ({ app }: Fusion.Fusion, only: A2aSkill.Skill | undefined): Pick<AgentCard, "iconUrl"> => {
  const icons = [...(only?.agent.presentation.icons ?? []), ...app.icons]
  const icon = icons.find(({ src }) => /^https:/iu.test(src))
  return icon === undefined ? {} : { iconUrl: icon.src }
}

/**
 * The extension that says which frameworks the agents run on, and what their adapters can do.
 *
 * @category constructors
 * @since 0.1.0
 */
export const adaptersOf = (
  listed: ReadonlyArray<A2aSkill.Skill>
): Pick<AgentCard["capabilities"], "extensions"> => {
  const adapters = listed.flatMap(({ agent: { adapter, identifier } }) =>
    adapter === undefined ? [] : [[identifier, { name: adapter.name, ...flatten(adapter.capabilities) }] as const]
  )
  return adapters.length === 0 ? {} : {
    extensions: [{
      uri: "urn:fastagentic:adapters:1",
      description: "The framework of each agent, and what its adapter can do",
      params: Object.fromEntries(adapters)
    }]
  }
}

const flatten = ({ hooks, ...capabilities }: AdapterCapabilities) => ({ ...capabilities, hooks: { ...hooks } })

/** The first of several schemes of one kind has its name alone. */
const numbered = (name: string, index: number) => index === 0 ? name : `${name}${index + 1}`

const flowsOf = ({ type, ...flow }: Auth.OAuthFlow): OAuthFlows => {
  // cast: each type of a flow has the fields of its own kind in the card.
  return { [type]: flow } as unknown as OAuthFlows
}

/** The schemes by their names; an issuer is the place where a client gets the bearer token. */
const schemesOf = (
  schemes: ReadonlyArray<Auth.Scheme>,
  issuers: ReadonlyArray<Auth.TokenIssuer>
): Readonly<Record<string, SecurityScheme>> =>
  Object.fromEntries([
    ...issuers.flatMap(({ flows = [] }) => flows).map((flow, index) => [
      numbered("oauth2", index),
      { oauth2SecurityScheme: { flows: flowsOf(flow) } }
    ]),
    ...[...new Set(issuers.map(({ issuer }) => issuer))].map((issuer, index) => [
      numbered("oidc", index),
      {
        openIdConnectSecurityScheme: {
          openIdConnectUrl: `${issuer.replace(/\/+$/u, "")}/.well-known/openid-configuration`
        }
      }
    ]),
    ...schemes.map((scheme) => [scheme, securitySchemes[scheme]])
  ])

const skillOf = (
  skill: A2aSkill.Skill,
  { app, prompts }: Fusion.Fusion,
  schemes: ReadonlyArray<string>,
  isDefault: boolean
): AgentSkill => {
  const { agent, content, fields, file } = skill
  const { tags = [], title } = agent.presentation
  const description = agent.description || agent.identifier
  const offers = Array.from(prompts.values(), ({ prompt }) => `${prompt.identifier} (${prompt.description})`)
  return {
    id: agent.identifier,
    name: title ?? agent.identifier,
    description: isDefault && offers.length > 0 ? `${description}\n\nPrompts: ${offers.join("; ")}` : description,
    tags: [...new Set([...tags, app.identifier, ...(agent.durable ? ["durable"] : [])])],
    ...(agent.examples.length === 0 ? {} : { examples: agent.examples }),
    inputModes: [
      ...(fields.text === undefined && content === undefined ? [] : ["text/plain"]),
      "application/json",
      ...(file === undefined && content === undefined ? [] : ["*/*"])
    ],
    outputModes: A2aSkill.outputModesOf(skill),
    ...(agent.scopes.length === 0 || schemes.length === 0
      ? {}
      : { securityRequirements: requirements(schemes, agent.scopes) })
  }
}

/** One requirement for each scheme, of which the caller meets one. */
const requirements = (
  schemes: ReadonlyArray<string>,
  scopes: ReadonlyArray<string>
): ReadonlyArray<SecurityRequirement> => schemes.map((scheme) => ({ schemes: { [scheme]: { list: scopes } } }))
