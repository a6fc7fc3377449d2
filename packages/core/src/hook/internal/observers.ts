// Turns an observer into hook points that report each call; dispatch places it. It never changes a call.
import { Clock, Effect, Exit, Stream } from "effect"
import type * as Response from "effect/ai/Response"
import type * as Hook from "../Hook.ts"
import type { Dispatch } from "./dispatch.ts"

/** The points of an observer: everything passes unchanged and is reported on the way. */
export const observers = ({ offer }: Hook.Watch, runId: string): Dispatch => {
  const context = (clock: Clock.Clock) => ({ runId, at: clock.currentTimeMillisUnsafe() })
  return {
    request: (call, next) =>
      Clock.clockWith((clock) => {
        offer({ ...context(clock), point: "request", call, phase: "start" })
        return Effect.onExit(next(call), (exit) =>
          Effect.sync(() => offer({ ...context(clock), point: "request", call, ...ended(exit) })))
      }),
    llm: (call, next) =>
      Stream.unwrap(Clock.clockWith((clock) => {
        offer({ ...context(clock), point: "llm", call, phase: "start" })
        const value: Array<Response.AnyPart> = []
        return Effect.succeed(
          next(call).pipe(
            Stream.tap((part) => Effect.sync(() => void value.push(part))),
            Stream.onExit((exit) =>
              Effect.sync(() => offer({ ...context(clock), point: "llm", call, ...ended(Exit.map(exit, () => value)) }))
            )
          )
        )
      })),
    tool: (call, next) =>
      Clock.clockWith((clock) => {
        offer({ ...context(clock), point: "tool", call, phase: "start" })
        return Effect.onExit(next(call), (exit) =>
          Effect.sync(() => offer({ ...context(clock), point: "tool", call, ...ended(exit) })))
      }),
    node: (call, next) =>
      Clock.clockWith((clock) => {
        offer({ ...context(clock), point: "node", call, phase: "start" })
        return Effect.onExit(next(call), (exit) =>
          Effect.sync(() => offer({ ...context(clock), point: "node", call, ...ended(exit) })))
      }),
    checkpoint: (call, next) =>
      Clock.clockWith((clock) => {
        offer({ ...context(clock), point: "checkpoint", call, phase: "start" })
        return Effect.onExit(next(call), (exit) =>
          Effect.sync(() => offer({ ...context(clock), point: "checkpoint", call, ...ended(exit) })))
      }),
    error: (failure, call) =>
      Clock.clockWith((clock) => {
        offer({ ...context(clock), point: "error", call, phase: "end", value: failure })
        return Effect.succeed(failure)
      })
  }
}

const ended = <A>(exit: Exit.Exit<A, unknown>) =>
  Exit.isSuccess(exit)
    ? { phase: "end", value: exit.value } as const
    : { phase: "failure", cause: exit.cause } as const
