/**
 * A call as it stands before the door: who says they are calling, over which protocol, in which trace.
 *
 * @since 0.1.0
 */
import type { Tracer } from "effect"
import { randomHex } from "../base/internal/randomBytes.ts"
import * as Credentials from "../run/Credentials.ts"
import * as Tracing from "../telemetry/Tracing.ts"
import type { LimitUsage } from "./RateLimit.ts"

/** @category models @since 0.1.0 */
export interface Caller {
  readonly credentials: Credentials.Credentials
  readonly protocol:
    | "rest"
    | "websocket"
    | "mcp"
    | "a2a"
    | "ai-sdk"
    | "ag-ui"
    | "openai"
    | "rpc"
    | "local"
    | "delegation"
    | "schedule"
  /** 32 lower-case hex digits, the W3C trace id. */
  readonly traceId: string
  /** The principal from `Runtime.authenticate`: the runtime does not check the credentials again. */
  readonly authenticated?: object | undefined
  /** The span that the call is made in. */
  readonly span?: Tracer.AnySpan | undefined
  /** Told how the caller stands with each rule that a call was counted by, allowed or not. */
  readonly onLimits?: ((standings: ReadonlyArray<LimitUsage>) => void) | undefined
}

/** @category constructors @since 0.1.0 */
export const make = (
  protocol: Caller["protocol"],
  options: {
    readonly credentials?: Credentials.Credentials
    readonly traceparent?: string | undefined
    /** Goes before what `traceparent` says. */
    readonly span?: Tracer.AnySpan | undefined
    readonly onLimits?: Caller["onLimits"]
    /** The trace of the run that calls; goes before all others. */
    readonly traceId?: string
  } = {}
): Caller => {
  const span = options.span ?? Tracing.fromTraceparent(options.traceparent)
  return {
    credentials: options.credentials ?? Credentials.none,
    protocol,
    traceId: options.traceId ?? span?.traceId ?? traceIdOf(options.traceparent) ?? newTraceId(),
    ...(span === undefined ? {} : { span }),
    onLimits: options.onLimits
  }
}

/** The trace id of a W3C `traceparent` header. @category accessors @since 0.1.0 */
export const traceIdOf = (traceparent: string | undefined): string | undefined => {
  const id = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/u.exec(traceparent ?? "")?.[1]
  return id === "0".repeat(32) ? undefined : id
}

/** A `traceparent` with a new span of this trace. @category conversions @since 0.1.0 */
export const toTraceparent = (traceId: string): string => `00-${traceId}-${randomHex(8)}-01`

const newTraceId = () => randomHex(16)
