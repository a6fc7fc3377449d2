// Reads the metadata that LangGraph attaches to callbacks: the node, its task and its path.
import { Option, Schema } from "effect"

const optional = Schema.optionalKey

const Metadata = Schema.Struct({
  langgraph_node: optional(Schema.String),
  langgraph_checkpoint_ns: optional(Schema.String),
  langgraph_step: optional(Schema.Int),
  ls_model_name: optional(Schema.String),
  ls_provider: optional(Schema.String),
  ls_max_tokens: optional(Schema.NullOr(Schema.Int))
})

/** The position of a callback in a graph. */
export interface CallbackMetadata {
  readonly node: string | undefined
  /** The graph's own id of the node's task. */
  readonly taskId: string | undefined
  readonly step: number | undefined
  /** Names of the nodes around the graph, outermost first. */
  readonly graph: ReadonlyArray<string>
  readonly model: string | undefined
  readonly provider: string | undefined
  readonly maxOutputTokens: number | undefined
}

const decode = Schema.decodeUnknownOption(Metadata)

/** Reads what LangGraph attaches to every callback: a namespace is `outer:task|inner:task`. */
export const placeOf = (metadata: unknown): CallbackMetadata => {
  const read = Option.getOrElse(decode(metadata ?? {}), (): typeof Metadata.Type => ({}))
  const segments = (read.langgraph_checkpoint_ns ?? "").split("|").filter((segment) => segment !== "")
  const names = segments.map((segment) => segment.split(":")[0] ?? segment)
  return {
    node: read.langgraph_node,
    taskId: segments.at(-1)?.split(":")[1],
    step: read.langgraph_step,
    graph: names.slice(0, -1),
    model: read.ls_model_name,
    provider: read.ls_provider,
    maxOutputTokens: read.ls_max_tokens ?? undefined
  }
}

/** The path of events inside a node. */
export const inside = (place: CallbackMetadata): ReadonlyArray<string> =>
  place.node === undefined ? place.graph : [...place.graph, place.node]
