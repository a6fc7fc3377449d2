// Problem details as they travel, apart from the responses of a server: the client reads them.
import { Schema } from "effect"

/** Problem details on the wire; `error` is the typed error itself, by its `_tag`. */
export const Problem = Schema.Struct({
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int,
  detail: Schema.optionalKey(Schema.String),
  traceId: Schema.String,
  runId: Schema.optionalKey(Schema.String),
  error: Schema.Json
}).annotate({ identifier: "Problem" })

export type Problem = typeof Problem.Type
