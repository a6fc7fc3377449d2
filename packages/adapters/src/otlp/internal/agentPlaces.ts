// The places of the spans of agents, models, tools and nodes among each other, without those of the door and the store
// between them. Destinations that take only the spans of agents read it; it holds no content.
import { Option, type Tracer } from "effect"

/** The run that a span belongs to. */
export interface RunOfSpan {
  runId: string
  attempt?: number
  user?: string
  tenant?: string
  session?: string
  agent?: string
}

/** A span among the spans of agents. */
export interface AgentPlace {
  readonly traceId: string
  readonly spanId: string
  readonly startTime: bigint
  readonly parent: AgentPlace | undefined
  run: RunOfSpan | undefined
  /** The first span of a run in this process. */
  isRoot: boolean
}

interface Placed extends Tracer.Span {
  place: AgentPlace | undefined
}

/** The attributes of the spans that have a place. */
const placed: ReadonlySet<string> = new Set([
  "gen_ai.operation.name",
  "fastagentic.node.id",
  "fastagentic.guardrail.name"
])

/** A run that another node delegates is found by its parent's id while it is among the latest. */
const mostKnown = 4_096

export class AgentPlaces {
  private readonly known = new Map<string, AgentPlace>()

  /** Sees each attribute of a span as it is set: the first that names an operation gives the span its place. */
  note(span: Placed, key: string, value: unknown) {
    if (span.place === undefined) {
      if (!placed.has(key)) return
      span.place = this.placeOf(span)
      this.known.set(span.spanId, span.place)
      if (this.known.size > mostKnown) { for (const first of this.known.keys()) return void this.known.delete(first) }
      return
    }
    const { place } = span
    if (typeof value !== "string" && typeof value !== "number") return
    if (key === "fastagentic.run.id") {
      place.isRoot = true
      const agent = text(span.attributes.get("gen_ai.agent.name"))
      const session = text(span.attributes.get("gen_ai.conversation.id"))
      place.run = {
        runId: String(value),
        ...(agent === undefined ? {} : { agent }),
        ...(session === undefined ? {} : { session })
      }
    } else if (place.isRoot && place.run !== undefined) {
      if (key === "fastagentic.run.attempt") place.run.attempt = Number(value)
      else if (key === "fastagentic.tenant") place.run.tenant = String(value)
      else if (key === "user.id") place.run.user = String(value)
    }
  }

  private placeOf({ parent, spanId, status, traceId }: Placed): AgentPlace {
    const above = this.above(Option.getOrUndefined(parent))
    return { traceId, spanId, startTime: status.startTime, parent: above, run: above?.run, isRoot: false }
  }

  private above(span: Tracer.AnySpan | undefined): AgentPlace | undefined {
    for (let at = span; at !== undefined;) {
      const known = this.known.get(at.spanId)
      if (known !== undefined) return known
      if (at._tag !== "Span") return undefined
      at = Option.getOrUndefined(at.parent)
    }
    return undefined
  }
}

const text = (value: unknown) => typeof value === "string" ? value : undefined
