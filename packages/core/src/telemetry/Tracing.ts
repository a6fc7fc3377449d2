/**
 * Spans, made only where a tracer is configured: without one nothing is allocated and nothing is timed.
 *
 * @since 0.1.0
 */
import { Effect, Fiber, Stream, Tracer } from "effect"

/** The details of a span; they are computed only when tracing is on. @category models @since 0.1.0 */
export type About = () => Tracer.SpanOptionsNoTrace

const traces = ({ cache: { tracer, tracerEnabled } }: Fiber.Fiber<unknown, unknown>) =>
  tracerEnabled && tracer !== undefined && tracer !== Tracer.nativeTracer

/** The span that the fiber works in, when it is looked at. @category accessors @since 0.1.0 */
export const current: Effect.Effect<Tracer.AnySpan | undefined> = Effect.withFiberSucceed((fiber) =>
  traces(fiber) ? fiber.cache.span : undefined
)

/** Whether the fiber that runs now makes spans. @category accessors @since 0.1.0 */
export const isTraced = (): boolean => {
  const fiber = Fiber.getCurrent()
  return fiber !== undefined && traces(fiber)
}

/** The same as `current` for code that runs in a fiber and is no effect. @category accessors @since 0.1.0 */
export const currentUnsafe = (): Tracer.AnySpan | undefined => {
  const fiber = Fiber.getCurrent()
  return fiber !== undefined && traces(fiber) ? fiber.cache.span : undefined
}

/** Works within a span of this name. @category combinators @since 0.1.0 */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  name: string,
  details?: About
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    traces(fiber)
      ? Effect.useSpan(name, details?.() ?? {}, (span) => provided(effect, span))
      : effect
  )

/** Works as a part of a span that is made elsewhere. @category combinators @since 0.1.0 */
export const under = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  parent: Tracer.AnySpan | undefined
): Effect.Effect<A, E, R> =>
  parent === undefined ? effect : Effect.withFiber((fiber) => traces(fiber) ? provided(effect, parent) : effect)

/** Works without any spans: what nobody asked for, or would not want to see. @category combinators @since 0.1.0 */
export const silently = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => traces(fiber) ? Effect.withTracerEnabled(effect, false) : effect)

/** Works within one span of this name, whatever spans the work would make. @category combinators @since 0.1.0 */
export const asOne = <A, E, R>(effect: Effect.Effect<A, E, R>, name: string): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => traces(fiber) ? within(silently(effect), name) : effect)

/** Prepared once: it is asked for in every span. */
const provideParent = Effect.provideService(Tracer.ParentSpan)

const provided = <A, E, R>(effect: Effect.Effect<A, E, R>, span: Tracer.AnySpan): Effect.Effect<A, E, R> =>
  provideParent(effect, span)

/** Reads a stream within a span of this name, and shows the span each of its parts. @category combinators @since 0.1.0 */
export const streamWithin = <A, E, R>(
  stream: Stream.Stream<A, E, R>,
  name: string,
  details?: About,
  see?: (part: A, span: Tracer.Span) => void
): Stream.Stream<A, E, R> =>
  Stream.unwrap(Effect.withFiber((fiber) =>
    traces(fiber)
      ? Effect.map(Effect.makeSpanScoped(name, details?.() ?? {}), (span) => {
        const read = Stream.provideService(stream, Tracer.ParentSpan, span)
        return see === undefined ? read : Stream.map(read, (part) => {
          see(part, span)
          return part
        })
      })
      : Effect.succeed(stream)
  ))

/** Adds to the span that the fiber works in. @category combinators @since 0.1.0 */
export const note = (attributes: () => Record<string, unknown>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const span = traces(fiber) ? fiber.cache.span : undefined
    if (span?._tag === "Span") { for (const [key, value] of Object.entries(attributes())) span.attribute(key, value) }
    return Effect.void
  })

/** The place in a trace that a W3C `traceparent` names. @category conversions @since 0.1.0 */
export const fromTraceparent = (traceparent: string | undefined): Tracer.ExternalSpan | undefined => {
  const [, traceId, spanId, flags] = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/u
    .exec(traceparent ?? "") ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (/^0+$/u.test(traceId) || /^0+$/u.test(spanId)) return undefined
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

/** @category conversions @since 0.1.0 */
export const toTraceparent = ({ sampled, spanId, traceId }: Tracer.AnySpan): string =>
  `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`
