// Finds out what an adapter can do, by trying; adapter-contract.ts compares it with what the adapter says. A server that does
// not start cannot do what was asked of it.
import { type Event, Hook } from "@fastagentic/core"
import type { AdapterCapabilities, Reach } from "@fastagentic/core/app/AdapterCapabilities"
import { Cause, Effect, Exit, Stream } from "effect"
import { Play, type Question } from "./play.ts"
import * as Stage from "./stage.ts"

/** The capabilities that can be tried. */
export type Found =
  & Pick<AdapterCapabilities, "budget" | "hooks" | "interrupts" | "tokens" | "toolInjection" | "usage">
  & { readonly commit: boolean }

interface Tried {
  readonly play: Play
  readonly events: ReadonlyArray<Event.RunEvent>
  readonly state: string
  readonly error: string
}

/** Plays once; nothing when the server does not start. */
const tryOnce = (
  perform: Stage.Perform,
  question: Question,
  options: Partial<Stage.Staging> = {}
): Effect.Effect<Tried | undefined> =>
  Effect.gen(function*() {
    const play = new Play()
    const server = yield* Stage.serve({ perform, durable: false, play, ...options })
    const runId = yield* server.start(question)
    const { error, state } = yield* server.until(runId, "completed", "failed", "suspended")
    return { play, state, error: JSON.stringify(error ?? null), events: yield* server.journal(runId) }
  }).pipe(
    Effect.scoped,
    Effect.exit,
    Effect.flatMap((exit) => {
      if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
      return /agent "subject": /u.test(Cause.pretty(exit.cause))
        ? Effect.undefined
        : Effect.die(Cause.squash(exit.cause))
    })
  )

/** The reach of a point: whether a hook there is called, refuses, and changes the call and its result. */
const reachOf = Effect.fnUntraced(function*(
  perform: Stage.Perform,
  points: {
    readonly block: Hook.Points
    readonly modify: Hook.Points | undefined
  },
  isBlocked: (tried: Tried) => boolean,
  isModified: (tried: Tried) => boolean
) {
  const refused = yield* tryOnce(perform, "plain", { points: points.block })
  if (refused === undefined) return "none"
  if (!isBlocked(refused)) return "observe"
  if (points.modify === undefined) return "block"
  const changed = yield* tryOnce(perform, "plain", { points: points.modify })
  return changed !== undefined && isModified(changed) ? "modify" : "block"
})

const hook = Hook.make("probe")

/** Tries everything. */
export const probe = Effect.fnUntraced(function*(perform: Stage.Perform): Effect.fn.Return<Found> {
  const plain = yield* tryOnce(perform, "plain")
  const events = plain?.events ?? []
  const llm: Reach = yield* reachOf(
    perform,
    {
      block: { llm: () => Stream.fromEffect(Hook.block(hook, "llm", "no")) },
      modify: {
        llm: (call, next) =>
          Stream.map(
            next({ ...call }),
            (part) => part.type === "text-delta" ? { ...part, delta: part.delta.toUpperCase() } : part
          )
      }
    },
    ({ play }) => !play.begun.includes("model 0"),
    ({ events, state }) => state === "completed" && JSON.stringify(events).includes("LET ME ")
  )
  const tool: Reach = yield* reachOf(
    perform,
    {
      block: { tool: () => Hook.block(hook, "tool", "no") },
      modify: {
        tool: (call, next) =>
          Effect.map(next({ ...call, arguments: { order: 8 } }), (outcome) => ({ ...outcome, result: "redacted" }))
      }
    },
    ({ play }) => !play.begun.includes("tool look"),
    ({ play }) => JSON.stringify(play.args[0]) === `{"order":8}` && play.asked.at(-1)?.includes("redacted") === true
  )
  const node: Reach = yield* reachOf(
    perform,
    { block: { node: () => Hook.block(hook, "node", "no") }, modify: undefined },
    ({ play }) => play.begun.length === 0,
    () => false
  )
  const broke = yield* tryOnce(perform, "plain", { budget: Stage.limited(0.000_000_1) })
  const durable = yield* tryOnce(perform, "plain", { durable: true })
  const asking = yield* tryOnce(perform, "approve")
  return {
    tokens: events.filter(({ type }) => type === "token").length > 1,
    toolInjection: plain?.play.injected === true ? "factory" : "none",
    usage: events.some(({ type }) => type === "usage"),
    budget: broke !== undefined && broke.error.includes("BudgetExceeded") && broke.play.begun.length === 0,
    commit: durable !== undefined,
    interrupts: asking?.state === "suspended",
    hooks: { llm, tool, node }
  }
})
