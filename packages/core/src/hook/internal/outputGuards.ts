// Passes a handler's output through its guards before it is committed; LiveRun uses it. No byte leaves unguarded.
import { Cause, Effect, Exit, type Schema, Semaphore } from "effect"
import { type Event, type Failure, textFields, type Type } from "../../run/Event.ts"
import { HookBlocked } from "../../run/RunError.ts"
import type * as Hook from "../Hook.ts"
import type { Decided, HookWithHandler } from "./dispatch.ts"
import { failedItself, ownFailure } from "./hookFailure.ts"
import { counting } from "./hookTimer.ts"

/** A text that is being said, with what each guard holds of it, from the innermost out. */
interface Text {
  event: TextEvent
  readonly held: Array<string>
  readonly changed: Set<Hook.Guard>
}

type TextEvent = Extract<Event, { readonly type: "token" | "reasoning_delta" | "tool_call_delta" }>

interface Posted {
  readonly hook: HookWithHandler
  readonly guard: Hook.Guard
}

/** Events that may overtake a waiting text, because they do not depend on its end. */
const independent: ReadonlySet<Type> = new Set([
  "custom",
  "hook_decision",
  "log",
  "progress",
  "raw",
  "state_delta",
  "state_snapshot",
  "tool_progress",
  "usage"
])

/** The guards of an agent, or nothing when it has none. */
export const guardsOf = (hooks: ReadonlyArray<HookWithHandler>): ReadonlyArray<Posted> | undefined => {
  const posted = hooks.flatMap((hook) => hook.points?.output === undefined ? [] : [{ hook, guard: hook.points.output }])
  // The last one declared is the innermost, and sees first.
  return posted.length === 0 ? undefined : posted.toReversed()
}

/**
 * Passes a handler's output through its guards, in one order, before anything else happens to it.
 *
 * All that it does follows from what was said: a resumed run that says the same again gets the same events.
 */
export class OutputGuards {
  private readonly texts = new Map<string, Text>()
  private readonly paths = new Map<string, ReadonlyArray<string>>()
  private readonly turn = Semaphore.makeUnsafe(1)
  private readonly guards: ReadonlyArray<Posted>
  private readonly about: Omit<Hook.OutputCall, "type">
  private readonly decided: Decided
  private readonly write: (event: Event) => Effect.Effect<void>
  private readonly cut: (error: HookBlocked) => Effect.Effect<never>

  constructor(options: {
    readonly guards: ReadonlyArray<Posted>
    readonly about: Omit<Hook.OutputCall, "type">
    readonly decided: Decided
    readonly write: (event: Event) => Effect.Effect<void>
    readonly cut: (error: HookBlocked) => Effect.Effect<never>
  }) {
    this.guards = options.guards
    this.about = options.about
    this.decided = options.decided
    this.write = options.write
    this.cut = options.cut
  }

  /** Another way out with the same guards: nothing is held across the two. */
  inStep(write: (event: Event) => Effect.Effect<void>): OutputGuards {
    return new OutputGuards({ guards: this.guards, about: this.about, decided: this.decided, cut: this.cut, write })
  }

  say(event: Event): Effect.Effect<void> {
    return this.inTurn(Effect.suspend(() => {
      if (isText(event)) return Effect.flatMap(this.placed(event), (event) => this.add(event))
      const said = Effect.flatMap(this.guarded(event), this.write)
      return independent.has(event.type) || this.texts.size === 0 ? said : Effect.andThen(this.flushAll, said)
    }))
  }

  /** The event with the names on its path as they may leave. */
  private placed<E extends Event>(event: E): Effect.Effect<E, HookBlocked> {
    const { path } = event
    if (path === undefined) return Effect.succeed(event)
    const known = this.paths.get(path.join("\0"))
    if (known !== undefined) return Effect.succeed({ ...event, path: known })
    return Effect.map(this.value([...path], "node_enter"), (passed) => {
      const names = Array.isArray(passed) ? passed.map(String) : [JSON.stringify(passed)]
      this.paths.set(path.join("\0"), names)
      return { ...event, path: names }
    })
  }

  /** Lets go of what is held: the texts are over. */
  readonly flush: Effect.Effect<void> = Effect.suspend(() =>
    this.texts.size === 0 ? Effect.void : this.inTurn(this.flushAll)
  )

  /** The same events as they may leave. */
  pass(events: ReadonlyArray<Event>): Effect.Effect<ReadonlyArray<Event>> {
    return this.inTurn(Effect.forEach(events, (event) => this.guarded(event)))
  }

  answer(output: Schema.Json): Effect.Effect<Schema.Json> {
    return Effect.andThen(this.flush, this.inTurn(this.value(output, "done")))
  }

  /** A value of a message as it may be kept in a thread. */
  message(value: Schema.Json): Effect.Effect<Schema.Json> {
    return this.inTurn(this.value(value, "message"))
  }

  /** A failure as it may leave; a run that is over cannot be cut any more. */
  failure(failure: Failure): Effect.Effect<Failure> {
    return Effect.gen({ self: this }, function*() {
      const message = yield* this.value(failure.message, "error")
      const guarded = { ...failure, message: typeof message === "string" ? message : failure.message }
      return failure.value === undefined ? guarded : { ...guarded, value: yield* this.value(failure.value, "error") }
    }).pipe(Effect.catchTag("HookBlocked", (error) => Effect.succeed(refusal(error))))
  }

  private inTurn<A>(effect: Effect.Effect<A, HookBlocked>): Effect.Effect<A> {
    return Effect.catchTag(this.turn.withPermit(effect), "HookBlocked", this.cut)
  }

  private add(event: TextEvent): Effect.Effect<void, HookBlocked> {
    const key = keyOf(event)
    const text = this.texts.get(key) ?? { event, held: this.guards.map(() => ""), changed: new Set() }
    text.event = event
    this.texts.set(key, text)
    return this.through(text, event.data.delta, false)
  }

  private readonly flushAll: Effect.Effect<void, HookBlocked> = Effect.suspend(() => {
    const open = [...this.texts.values()]
    this.texts.clear()
    return Effect.forEach(open, (text) => this.through(text, "", true), { discard: true })
  })

  /** Brings a piece of a text, and what was held before it, from guard to guard. */
  private through(text: Text, added: string, ended: boolean): Effect.Effect<void, HookBlocked> {
    return Effect.gen({ self: this }, function*() {
      let piece = added
      for (const [index, posted] of this.guards.entries()) {
        const whole = text.held[index] + piece
        const look = posted.guard.text
        if (look === undefined || whole === "") continue
        const call = { ...this.about, type: text.event.type, ended }
        const { held, out } = yield* this.ask(posted, () => look(whole, call), { out: whole, held: "" })
        const changed = ended ? out !== whole : out + held !== whole
        if (changed && !text.changed.has(posted.guard)) {
          text.changed.add(posted.guard)
          yield* this.decided({ hook: posted.hook.identifier, point: "output", decision: "modify" })
        }
        text.held[index] = ended ? "" : held
        piece = out
      }
      if (piece !== "") yield* this.write(withDelta(text.event, piece))
    })
  }

  private guarded(event: Event): Effect.Effect<Event, HookBlocked> {
    return Effect.flatMap(this.placed(event), (event) => this.withTexts(event))
  }

  private withTexts(event: Event): Effect.Effect<Event, HookBlocked> {
    const keys = textFields.get(event.type) ?? []
    if (keys.length === 0) return Effect.succeed(event)
    // cast: `textFields` are fields of the event whose values are JSON; what comes back stands in their place.
    const data = event.data as unknown as Record<string, Schema.Json | undefined>
    return Effect.map(
      Effect.forEach(keys, (key) => {
        const value = data[key]
        return value === undefined
          ? Effect.succeed([])
          : Effect.map(this.value(value, event.type), (passed) => passed === value ? [] : [[key, passed] as const])
      }),
      (changes) =>
        changes.every((change) => change.length === 0)
          ? event
          // cast: the same event with other content.
          : { ...event, data: { ...data, ...Object.fromEntries(changes.flat()) } } as unknown as Event
    )
  }

  private value(value: Schema.Json, type: Type): Effect.Effect<Schema.Json, HookBlocked> {
    return Effect.gen({ self: this }, function*() {
      let passing = value
      for (const posted of this.guards) {
        const look = posted.guard.value
        if (look === undefined) continue
        const before = passing
        passing = yield* this.ask(posted, () => look(before, { ...this.about, type }), before)
        if (passing !== before) {
          yield* this.decided({ hook: posted.hook.identifier, point: "output", decision: "modify" })
        }
      }
      return passing
    })
  }

  /** Asks a guard, whose refusals and failures are treated as those of any hook. */
  private ask<A>(
    { hook }: Posted,
    look: () => Effect.Effect<A, HookBlocked>,
    asItIs: A
  ): Effect.Effect<A, HookBlocked> {
    const { decided } = this
    const handle = (cause: Cause.Cause<HookBlocked>): Effect.Effect<A, HookBlocked> => {
      const own = ownFailure(cause, none)
      if (own !== undefined) return failedItself({ hook, decided }, "output", own, Effect.succeed(asItIs))
      const error = cause.reasons.find(Cause.isFailReason)?.error
      return error === undefined
        ? Effect.failCause(cause)
        : Effect.andThen(
          decided({ hook: hook.identifier, point: "output", decision: "block", reason: error.reason }),
          Effect.fail(error)
        )
    }
    return Effect.catchCause(
      Effect.suspend(() => {
        const answer = look()
        // Most guards know at once: nothing has to be timed.
        return Exit.isExit(answer) ? answer : counting(hook.timeoutMillis, (time) => time.within(time.ofHook(answer)))
      }),
      handle
    )
  }
}

const none: ReadonlySet<unknown> = new Set()

const isText = (event: Event): event is TextEvent =>
  event.type === "token" || event.type === "reasoning_delta" || event.type === "tool_call_delta"

const keyOf = (event: TextEvent) =>
  JSON.stringify(
    event.type === "tool_call_delta"
      ? [event.type, event.path, event.data.toolCallId]
      : [event.type, event.path, event.data.messageId, event.data.blockId]
  )

const withDelta = (event: TextEvent, delta: string): Event => {
  if (delta === event.data.delta) return event
  switch (event.type) {
    case "token":
      return { ...event, data: { ...event.data, delta } }
    case "reasoning_delta":
      return { ...event, data: { ...event.data, delta } }
    case "tool_call_delta":
      return { ...event, data: { ...event.data, delta } }
  }
}

const refusal = (error: HookBlocked): Failure => ({
  tag: error._tag,
  message: `cut off by ${error.hook}`,
  status: 403,
  declared: false
})
