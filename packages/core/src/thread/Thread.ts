/**
 * The conversation of a handler's run: its history, and the messages that this run adds to it.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { CurrentRun } from "../run/Run.ts"
import * as History from "./internal/history.ts"
import type { Message, Stored } from "./Message.ts"
import type { MessageQuery } from "./ThreadStore.ts"

/** The thread of a run, as `CurrentRun` gives it. @category models @since 0.1.0 */
export interface RunThread {
  /** Nothing when the run belongs to no thread. */
  readonly id: string | undefined
  readonly read: (
    query: Pick<MessageQuery, "bytes" | "from" | "limit" | "order">
  ) => Effect.Effect<ReadonlyArray<Stored>>
  readonly add: (messages: ReadonlyArray<Message>) => Effect.Effect<void>
}

/** The part of a history that is too long: the summary of what was before it, if there is one. @category models @since 0.1.0 */
export interface Excess {
  readonly summary: string | undefined
  readonly messages: ReadonlyArray<Stored>
}

/**
 * How much of a history is read. Turns are read whole or not at all, the newest first.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /** How many messages at most, 100 by default. */
  readonly last?: number
  /** How large they are together at most as JSON, 262,144 by default. */
  readonly maxBytes?: number
  /**
   * Makes a summary of what would be left out. It is a message of the thread from then on, which stands for all before it,
   * and is the first one that is read.
   */
  readonly summarize?: (excess: Excess) => Effect.Effect<string, E, R>
}

/**
 * The messages that were said in the run's thread before this run, the oldest first; none when it belongs to no thread.
 *
 * **Details**
 *
 * They are read once: a resumed run gets the same ones, although the thread may have grown. What does not fit the limits is
 * left out, or is summarized.
 *
 * **Example** (Answering with the history in mind)
 *
 * ```ts
 * import { Agent, Message, Thread } from "@fastagentic/core"
 * import { Effect, Schema } from "effect"
 *
 * class Chat extends Agent.make("chat", {
 *   description: "Counts what you have said",
 *   payload: { text: Schema.String },
 *   threads: "enqueue"
 * }) {}
 *
 * const ChatLayer = Chat.toLayer(Effect.fn(function*({ text }) {
 *   const history = yield* Thread.messages({ last: 20 })
 *   const answer = `You have said ${history.filter(({ role }) => role === "user").length} things before.`
 *   yield* Thread.add(Message.user(text), Message.assistant(answer))
 *   return answer
 * }))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const messages = <E = never, R = never>(
  options: Options<E, R> = {}
): Effect.Effect<ReadonlyArray<Stored>, E, R | CurrentRun> =>
  CurrentRun.use((run) => run.thread.id === undefined ? Effect.succeed([]) : History.messages(run, options))

/**
 * Adds messages to the run's thread. They are written with the run's end, all or none: a run that fails or is cancelled adds
 * nothing. A run that belongs to no thread, or that another run has started, adds nothing either.
 *
 * **Gotchas**
 *
 * The agent has to take the turns of a thread one at a time: it is declared with `threads` other than `"parallel"`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const add = (...messages: ReadonlyArray<Message>): Effect.Effect<void, never, CurrentRun> =>
  CurrentRun.use((run) => run.thread.add(messages))

/** The id of the run's thread. @category accessors @since 0.1.0 */
export const id: Effect.Effect<string | undefined, never, CurrentRun> = CurrentRun.useSync((run) => run.thread.id)
