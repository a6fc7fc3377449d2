/**
 * A language model call that a framework makes itself and reports piece by piece.
 *
 * @since 0.1.0
 */
import type { Event, Hook } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { HookBlocked } from "@fastagentic/core/run/RunError"
import { Cause, Deferred, Effect, Exit, Fiber, Queue, Stream } from "effect"
import type * as Response from "effect/ai/Response"
import { Thrown } from "./AdapterError.ts"
import * as HookBracket from "./HookBracket.ts"
import * as ModelBudget from "./ModelBudget.ts"
import * as PartEvents from "./PartEvents.ts"
import * as Tokens from "./Tokens.ts"

/**
 * A model call that the hooks have allowed. Its parts pass the hooks before they are journaled.
 *
 * @category models
 * @since 0.1.0
 */
export interface ModelCall {
  /** Adds parts in order; waits while the hooks and the journal are behind. */
  readonly add: (parts: ReadonlyArray<Response.AnyPart>) => Effect.Effect<void, HookBlocked>
  /** Adds the parts for which there is room at once, without a fiber, and gives those that are left for `add`. */
  readonly offer: (parts: ReadonlyArray<Response.AnyPart>) => ReadonlyArray<Response.AnyPart>
  readonly end: Effect.Effect<void, HookBlocked>
  readonly fail: (cause: unknown) => Effect.Effect<void>
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly call: Hook.LlmCall
  readonly provider?: string | undefined
  readonly emit: (event: Event.Event) => Effect.Effect<void>
  /** `false` keeps the answer itself out of the journal. */
  readonly visible: boolean
  /** The output limit of the call; required by a budget. */
  readonly maxOutputTokens?: number | undefined
  /** The tool declarations sent to the model. */
  readonly tools?: ReadonlyArray<unknown> | undefined
}

/** The number of parts that may wait for the hooks and the journal. */
const window = 16

/**
 * Opens a model call: succeeds when the hooks allow it, fails when they refuse it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = Effect.fnUntraced(function*(options: Options) {
  const { call, emit } = options
  const run = yield* CurrentRun
  const admitted = yield* Deferred.make<void, HookBlocked>()
  const queue = yield* Queue.bounded<Response.AnyPart, Thrown | Cause.Done>(window)
  const answer = PartEvents.make(call.callId)
  const passed: Array<Response.AnyPart> = []
  let entered = false
  let spent: Event.Usage | undefined
  let spending: ModelBudget.ModelBudget | undefined

  const pay = () =>
    ModelBudget.open({
      callId: call.callId,
      model: call.model,
      provider: options.provider,
      inputTokens: Tokens.ofPrompt(call.prompt, options.tools),
      maxOutputTokens: options.maxOutputTokens,
      clamps: false,
      changesTo: () => false
    }).pipe(Effect.provideService(CurrentRun, run))

  // The end of a call is not reported once its run is over.
  yield* Effect.addFinalizer(() => Effect.suspend(() => spending?.cut ?? Effect.void))

  const next = (changed: Hook.LlmCall) =>
    Stream.suspend((): Stream.Stream<Response.AnyPart, Thrown | HookBlocked> => {
      if (entered || changed !== call) return Stream.fail(HookBracket.notEnforceable("llm"))
      entered = true
      const { provider } = options
      const start = emit({
        type: "llm_start",
        data: { callId: call.callId, model: call.model, ...(provider === undefined ? {} : { provider }) }
      })
      const parts = Stream.map(Stream.fromQueue(queue), (part) => {
        passed.push(part)
        return part
      })
      const paid = Effect.map(Effect.suspend(pay), (granted) => {
        spending = granted
      })
      return Stream.unwrap(
        paid.pipe(Effect.andThen(start), Effect.andThen(Deferred.succeed(admitted, undefined)), Effect.as(parts))
      )
    })

  const emitAll = (events: ReadonlyArray<Event.Event>) =>
    options.visible && events.length > 0 ? Effect.forEach(events, emit, { discard: true }) : Effect.void

  /** The graph received the original answer: a part that differs from the one passed in was changed for the journal only. */
  const take = (part: Response.AnyPart) =>
    Effect.suspend((): Effect.Effect<void, HookBlocked> => {
      if (passed.shift() !== part) return Effect.fail(HookBracket.notEnforceable("llm"))
      return emitAll(answer.events(part))
    })

  const fiber = yield* run.hooks.llm(call, next).pipe(
    Stream.runForEach(take),
    Effect.andThen(
      Effect.suspend(() =>
        entered && passed.length === 0 ? Effect.void : Effect.fail(HookBracket.notEnforceable("llm"))
      )
    ),
    Effect.onExit((exit) => {
      if (Exit.isSuccess(exit)) return Effect.void
      const refusal = HookBracket.refusalIn(exit.cause)
      return Effect.andThen(
        refusal === undefined
          ? Deferred.die(admitted, Cause.squash(exit.cause))
          : Deferred.fail(admitted, refusal),
        Queue.shutdown(queue)
      )
    }),
    Effect.forkScoped
  )

  /** The hooks' decision on the whole answer. */
  const verdict = Effect.flatMap(Fiber.await(fiber), (exit): Effect.Effect<void, HookBlocked> => {
    if (Exit.isSuccess(exit)) return Effect.void
    const refusal = HookBracket.refusalIn(exit.cause)
    return refusal === undefined ? Effect.die(Cause.squash(exit.cause)) : Effect.fail(refusal)
  })

  const close = (reason: string, reported: Event.Usage | undefined) =>
    Effect.gen(function*() {
      const { callId, model } = call
      if (reason === "error") yield* spending?.cut ?? Effect.void
      const usage = reason === "error" || spending === undefined ? reported : yield* spending.end(reported)
      yield* emitAll(answer.cut(reason))
      yield* emit({
        type: "llm_end",
        data: { callId, finishReason: reason, ...(usage === undefined ? {} : { usage }) }
      })
      if (usage !== undefined) {
        yield* emit({
          type: "usage",
          data: { callId, model, ...(reported === undefined ? { isEstimate: true } : {}), ...usage }
        })
      }
    })

  const see = (part: Response.AnyPart) => {
    if (part.type === "finish") spent = PartEvents.usageOf(part)
    spending?.see(part)
  }

  const offer = (parts: ReadonlyArray<Response.AnyPart>) => {
    const full = parts.findIndex((part) => {
      if (!Queue.offerUnsafe(queue, part)) return true
      see(part)
      return false
    })
    return full === -1 ? [] : parts.slice(full)
  }

  const add = Effect.fnUntraced(function*(parts: ReadonlyArray<Response.AnyPart>) {
    for (const part of parts) {
      see(part)
      // A closed queue was shut down by the hooks.
      if (!(yield* Queue.offer(queue, part))) yield* verdict
    }
  })

  const end = Effect.suspend(() => Effect.andThen(Queue.end(queue), verdict)).pipe(
    Effect.onExit((exit) => close(Exit.isSuccess(exit) ? answer.reason() : "blocked", spent))
  )

  const fail = (cause: unknown) =>
    Queue.fail(queue, new Thrown({ cause })).pipe(
      Effect.andThen(Fiber.await(fiber)),
      Effect.andThen(close("error", undefined))
    )

  yield* Deferred.await(admitted)
  return { add, offer, end, fail } satisfies ModelCall
})
