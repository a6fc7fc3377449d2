/**
 * Keeps the content of calls and the credentials of callers out of telemetry unless the app allows them.
 *
 * @since 0.1.0
 */
import { Cause, Exit, Option, Tracer } from "effect"
import { RunEndedWith } from "../run/internal/runEndedWith.ts"
import { RunError } from "../run/RunError.ts"

type SpanOptions = Parameters<Tracer.Tracer["span"]>[0]

/**
 * `effect/ai` notes the arguments of a tool on whatever span it is called in, `effect/http` the address of a request, with
 * what it asks for, and a header.
 */
const withheld: ReadonlySet<string> = new Set([
  "parameters",
  "url.full",
  "url.path",
  "url.query",
  "user_agent.original"
])

/** Whether a span may have an attribute of this name. @category guards @since 0.1.0 */
export const isAllowed = (attribute: string): boolean => !withheld.has(attribute)

/**
 * Whether an event of a span is a line of the log, that `effect` puts there with everything that a failure says: lines go
 * where logs go.
 *
 * @category guards
 * @since 0.1.0
 */
export const isLogLine = (attributes: Record<string, unknown> | undefined): boolean =>
  attributes !== undefined && "effect.logLevel" in attributes

/**
 * Whether nobody has asked for what a span is about, as for a look into a store every second: it is no trace of its own.
 *
 * @category guards
 * @since 0.1.0
 */
export const isBackground = ({ kind, name, parent }: Pick<SpanOptions, "kind" | "name" | "parent">): boolean =>
  Option.isNone(parent) && (kind === "client" || name === "sql.transaction")

/**
 * The kind of a failure, by its tag or its name: its message may hold a secret or personal data.
 *
 * @category accessors
 * @since 0.1.0
 */
export const kindOf = (error: unknown): string => {
  if (error instanceof RunEndedWith) return error.tag
  if (error instanceof RunError) return kindOf(error.reason)
  if (typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string") {
    return error._tag
  }
  return error instanceof Error ? error.name : "Error"
}

/** The kind of failure that something ended with, unless it was stopped. @category accessors @since 0.1.0 */
export const failureOf = (exit: Exit.Exit<unknown, unknown>): string | undefined =>
  Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? undefined : kindOf(Cause.squash(exit.cause))

/** A tracer whose spans tell no more than they may. @category constructors @since 0.1.0 */
export const discreet = (tracer: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    span: (options) =>
      isBackground(options)
        ? Tracer.nativeTracer.span({ ...options, sampled: false })
        : discreetly(tracer.span(options)),
    context: tracer.context
  })

/** The span stays the one that its tracer made, which may look for what only its own spans have. */
const discreetly = (span: Tracer.Span): Tracer.Span => {
  const attribute = span.attribute.bind(span)
  const event = span.event.bind(span)
  const end = span.end.bind(span)
  return Object.assign(span, {
    attribute: (key: string, value: unknown) => isAllowed(key) ? attribute(key, value) : undefined,
    event: (name: string, at: bigint, attributes?: Record<string, unknown>) =>
      isLogLine(attributes) ? undefined : event(name, at, attributes),
    end: (at: bigint, exit: Exit.Exit<unknown, unknown>) => {
      const failure = failureOf(exit)
      if (failure === undefined) return end(at, exit)
      if (!span.attributes.has("error.type")) attribute("error.type", failure)
      end(at, Exit.die(named(failure)))
    }
  })
}

const named = (kind: string) => Object.assign(new Error(kind), { name: kind, stack: kind })
