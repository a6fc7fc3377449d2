// The limits of one request on every protocol; a server provides its own.
import * as Timings from "@fastagentic/core/base/Timings"
import { Context } from "effect"

export interface RequestLimits {
  /** The largest body of a request, in bytes. */
  readonly bodyBytes: number
  /** How long a `POST` waits for its run before it answers 202 with the run, in milliseconds. */
  readonly waitMillis: number
  /** How long the body of a request may take to arrive, in milliseconds. */
  readonly bodyMillis: number
}

export const RequestLimits = Context.Reference<RequestLimits>("@fastagentic/protocols/internal/RequestLimits", {
  defaultValue: () => ({ bodyBytes: 1_048_576, waitMillis: Infinity, bodyMillis: Timings.bodyMillis })
})
