// The problems of a body as one line of text; REST and WebSocket put it into BadBody.
import { problemsOf } from "@fastagentic/core/base/Validation"
import type { Schema } from "effect"

export const summaryOf = (error: Schema.SchemaError): string =>
  problemsOf(error).map(({ message, path }) => path.length === 0 ? message : `${path.join(".")}: ${message}`).join("; ")
