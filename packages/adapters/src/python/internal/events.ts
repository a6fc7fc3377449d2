// The events that code of a Python agent may add to the journal; session.ts decodes each. All others are the runtime's own.
import { Event } from "@fastagentic/core"
import { Schema } from "effect"

const schemaOf = <T extends Event.Type>(type: T) =>
  Schema.Struct({ type: Schema.Literal(type), data: Event.schemas[type] })

const Said = Schema.Union([
  schemaOf("token"),
  schemaOf("reasoning_delta"),
  schemaOf("content"),
  schemaOf("custom"),
  schemaOf("log"),
  schemaOf("node_enter"),
  schemaOf("node_exit"),
  schemaOf("state_snapshot"),
  schemaOf("state_delta")
])

/** Throws for anything else: the run of the code that sent it fails. */
export const decodeEvent: (event: unknown) => Event.Event = Schema.decodeUnknownSync(Said)
