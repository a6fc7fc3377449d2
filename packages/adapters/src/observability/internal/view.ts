// A span as a destination wants it: with the destination's attributes, below the closest span that it receives.
import { Option } from "effect"
import type { AgentPlace } from "../../otlp/internal/agentPlaces.ts"
import type { EndedSpan, View } from "../../otlp/internal/tracer.ts"
import type { Destination, SpanFacts } from "../Destination.ts"

export const viewFor = ({ attributes, spans }: Destination) => (span: EndedSpan): View => {
  const parent = spans === "all" ? Option.getOrUndefined(span.parent) : span.place?.parent
  return { attributes: withMore(span.attributes, attributes(factsOf(span))), parentSpanId: parent?.spanId }
}

const withMore = (all: ReadonlyMap<string, unknown>, more: ReturnType<Destination["attributes"]>) => {
  const joined = new Map(all)
  for (const [key, value] of Object.entries(more)) if (value !== undefined) joined.set(key, value)
  return joined
}

const factsOf = ({ attributes, name, place, spanId, status, traceId }: EndedSpan): SpanFacts => ({
  name,
  traceId,
  spanId,
  startTime: status.startTime,
  operation: operationOf(attributes),
  attributes,
  run: place?.run,
  isRoot: place?.isRoot === true,
  above: place === undefined ? [] : aboveOf(place)
})

const operations: Readonly<Record<string, SpanFacts["operation"]>> = {
  chat: "model",
  invoke_agent: "agent",
  execute_tool: "tool"
}

const operationOf = (attributes: ReadonlyMap<string, unknown>) =>
  operations[String(attributes.get("gen_ai.operation.name"))] ??
    (attributes.has("fastagentic.node.id")
      ? "node"
      : attributes.has("fastagentic.guardrail.name")
      ? "guardrail"
      : "other")

const aboveOf = (place: AgentPlace) => {
  const above: Array<AgentPlace> = []
  for (let at = place.parent; at !== undefined; at = at.parent) above.push(at)
  return above
}
