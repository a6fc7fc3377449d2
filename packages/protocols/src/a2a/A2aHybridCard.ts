// One card document for clients of version 0.3 and of 1.0: fields of both versions, which each ignores of the other. Signatures
// cover the fields of 1.0, as the specification has it.
import type { AgentCard, AgentSkill, SecurityRequirement, SecurityScheme } from "./A2aSchema.ts"

export const make = (card: AgentCard) => {
  const own = card.supportedInterfaces.filter(({ protocolVersion }) => protocolVersion === "0.3")
  const [preferred = card.supportedInterfaces[0]] = own
  const { capabilities, securityRequirements, securitySchemes, skills } = card
  return {
    ...card,
    protocolVersion: "0.3.0",
    url: preferred?.url ?? "",
    preferredTransport: preferred?.protocolBinding ?? "JSONRPC",
    additionalInterfaces: own.map(({ protocolBinding, url }) => ({ transport: protocolBinding, url })),
    supportsAuthenticatedExtendedCard: capabilities.extendedAgentCard === true,
    ...(securitySchemes === undefined ? {} : {
      securitySchemes: Object.fromEntries(
        Object.entries(securitySchemes).map(([name, scheme]) => [name, { ...scheme, ...schemeOf(scheme) }])
      )
    }),
    ...(securityRequirements === undefined ? {} : { security: securityRequirements.map(requirementOf) }),
    skills: skills.map(skillOf)
  }
}

const skillOf = (skill: AgentSkill) =>
  skill.securityRequirements === undefined
    ? skill
    : { ...skill, security: skill.securityRequirements.map(requirementOf) }

const requirementOf = ({ schemes }: SecurityRequirement) =>
  Object.fromEntries(Object.entries(schemes).map(([name, { list }]) => [name, list]))

const schemeOf = (scheme: SecurityScheme) => {
  if ("httpAuthSecurityScheme" in scheme) {
    return { type: "http", scheme: scheme.httpAuthSecurityScheme.scheme.toLowerCase() }
  }
  if ("apiKeySecurityScheme" in scheme) {
    const { location, name } = scheme.apiKeySecurityScheme
    return { type: "apiKey", in: location, name }
  }
  if ("openIdConnectSecurityScheme" in scheme) return { type: "openIdConnect", ...scheme.openIdConnectSecurityScheme }
  if ("oauth2SecurityScheme" in scheme) {
    const { flows } = scheme.oauth2SecurityScheme
    // Version 0.3 has no flow for devices.
    return { type: "oauth2", flows: "deviceCode" in flows ? {} : flows }
  }
  return { type: "mutualTLS", description: scheme.mtlsSecurityScheme.description }
}
