/**
 * Implements an agent with a plain async function or an async generator, for code that uses no Effect.
 *
 * @since 0.1.0
 */
import { type Agent, Event, Run } from "@fastagentic/core"
import type { ApprovalOptions } from "@fastagentic/core/base/Policy"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { type Duration, Effect, type Layer, type Schema } from "effect"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import { Thrown } from "../adapter/AdapterError.ts"
import { failureOf } from "../adapter/Failure.ts"
import * as FrameworkRun from "../adapter/FrameworkRun.ts"
import type { Declared } from "../adapter/internal/declared.ts"

/**
 * The abilities of the adapter: calls of models and tools inside a function are seen by nobody, so there are no hooks around
 * them and no budget.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const capabilities: AdapterCapabilities = {
  tokens: true,
  boundary: "none",
  commit: "barrier",
  interrupts: true,
  cancel: "abort",
  hooks: { llm: "none", tool: "none", node: "none" },
  toolInjection: "none",
  usage: false,
  budget: false,
  backpressure: "waits"
}

const adapter: Adapter = { name: "functions", capabilities, remedy: "write the handler with ModelLoop" }

/**
 * The run as a function reaches it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runtime {
  readonly runId: string
  readonly threadId: string
  /** Aborts when the run ends for any reason. */
  readonly signal: AbortSignal
  /** Does work once per run: a resumed run gets the stored result, which is JSON. Use one name after the other, or several. */
  readonly step: <A extends Schema.Json>(name: string, work: (signal: AbortSignal) => A | PromiseLike<A>) => Promise<A>
  /** Adds an event to the journal, and waits until it is there. */
  readonly emit: (event: Event.Event) => Promise<void>
  /** Pauses until somebody answers, over any restart; rejects with `InterruptDenied`. */
  readonly interrupt: <S extends Schema.ConstraintCodec<unknown, unknown>>(
    name: string,
    options:
      & {
        readonly schema: S
        readonly message?: string
        readonly arguments?: Schema.Json
        readonly default?: S["Type"]
      }
      & ApprovalOptions
  ) => Promise<S["Type"]>
  /** Waits, over any restart. */
  readonly sleep: (duration: Duration.Input) => Promise<void>
}

/** A function gives the answer; a generator yields tokens and events, and its answer is what it returns or the tokens. @category models @since 0.1.0 */
export type Handler<Payload, Success> = (
  payload: Payload,
  run: Runtime
) =>
  | PromiseLike<Success>
  | AsyncGenerator<string | Event.Event, [string] extends [Success] ? Success | void : Success, undefined>

const isGenerator = <A>(
  made: PromiseLike<A> | AsyncGenerator<string | Event.Event, A | void, undefined>
): made is AsyncGenerator<string | Event.Event, A | void, undefined> => Symbol.asyncIterator in made

/**
 * Implements an agent with a function.
 *
 * **Gotchas**
 *
 * A resumed function runs again from its top: it must do the same between its steps, and every effect on the world belongs
 * into one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema
>(
  agent: Declared<Identifier, Payload, Success>,
  handler: Handler<Payload["Type"], Success["Type"]>
): Layer.Layer<Agent.Handler<Identifier>> =>
  agent.toLayer(
    (payload) =>
      Effect.flatMap(CurrentRun, ({ record }) =>
        FrameworkRun.within(async (framework): Promise<Success["Type"]> => {
          const run = runtimeOf(framework, record)
          // cast: the two kinds of handlers, with the answer of the second where it has none.
          const made = handler(payload, run) as
            | PromiseLike<Success["Type"]>
            | AsyncGenerator<string | Event.Event, Success["Type"] | void, undefined>
          return isGenerator(made) ? collect(made, run) : made
        })).pipe(Effect.catchTag("Thrown", (thrown) => failureOf(agent.errorSchema, new WeakMap(), thrown))),
    adapter
  )

const runtimeOf = (
  framework: FrameworkRun.FrameworkRun,
  { runId, threadId = runId }: { readonly runId: string; readonly threadId?: string }
): Runtime => {
  /** Code gets its own errors back. */
  const own = <A, E>(effect: Effect.Effect<A, E, CurrentRun>) =>
    framework.promise(effect).catch((error: unknown) => {
      throw error instanceof Thrown ? error.cause : error
    })
  return {
    runId,
    threadId,
    signal: framework.signal,
    step: (name, work) => own(Run.step(name, framework.wait(work))),
    emit: (event) => own(Run.emit(event)),
    interrupt: (name, options) => own(Run.interrupt(name, options)),
    sleep: (duration) => own(Run.sleep(duration))
  }
}

/** Emits each item before the generator makes the next. */
const collect = async <A>(
  items: AsyncGenerator<string | Event.Event, A | void, undefined>,
  run: Runtime
): Promise<A> => {
  let text = ""
  for (;;) {
    const item = await items.next()
    if (item.done === true) {
      // cast: a generator without an answer is allowed only where the answer is a text.
      return item.value === undefined ? text as A : item.value
    }
    const event = typeof item.value === "string" ? Event.token(item.value) : item.value
    if (event.type === "token") text += event.data.delta
    await run.emit(event)
  }
}
