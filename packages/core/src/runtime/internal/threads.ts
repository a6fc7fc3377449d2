// The thread of a run: reads its messages, and keeps what the run has to add until its end. currentRun.ts and segment.ts call
// it. Messages are written in the commit that completes the run, so a killed run leaves no half turn and a replay no second one.
import { Effect, Schema } from "effect"
import { ThreadUnusable } from "../../run/RunError.ts"
import type { Commit } from "../../store/RunStore.ts"
import { Message } from "../../thread/Message.ts"
import type { RunThread } from "../../thread/Thread.ts"
import type { LiveRun } from "./liveRun.ts"
import type { Place } from "./names.ts"
import { untilStored } from "./storeAway.ts"

export const threadIn = (live: LiveRun, place: Place): RunThread => {
  const { agent, durable, owner, parentRunId, tenant, threadId } = live.run
  return {
    id: threadId,
    read: (query) =>
      threadId === undefined ?
        Effect.succeed([]) :
        Effect.orDie(
          untilStored(Effect.suspend(() => live.journal.store.threads.messages({ ...query, tenant, owner, threadId })))
        ),
    add: (messages) =>
      Effect.suspend(() => {
        // A run that another one has started is a part of that run's turn.
        if (parentRunId !== undefined) return Effect.void
        if (live.threads === "parallel") return Effect.die(new ThreadUnusable({ agent, why: "parallel" }))
        if (place.step !== undefined) return Effect.die(new ThreadUnusable({ agent, why: "in a step" }))
        if (threadId === undefined) return Effect.void
        if (!durable) return Effect.die(new ThreadUnusable({ agent, why: "not durable" }))
        return Effect.map(Effect.orDie(decode(messages)), (added) => {
          live.said = [...(live.said ?? []), ...added]
        })
      })
  }
}

const Messages = Schema.Array(Message)
const decode = Schema.decodeUnknownEffect(Messages)

/** Passes what was said through the guards of the output: history is shown like any output. */
export const guardSaid = (live: LiveRun): Effect.Effect<void> => {
  const { outlet, said } = live
  return outlet === undefined || said === undefined ? Effect.void : Effect.map(
    Effect.forEach(
      said,
      (message) => Effect.flatMap(outlet.message(message), (passed) => Effect.orDie(decodeOne(passed)))
    ),
    (guarded) => {
      live.said = guarded
    }
  )
}

const decodeOne = Schema.decodeUnknownEffect(Message)

/** The run's turn, as a part of the commit that completes it. */
export const turnOf = ({ run: { owner, tenant, threadId }, said }: LiveRun): Pick<Commit, "turn"> =>
  said === undefined || threadId === undefined ? {} : { turn: { tenant, owner, threadId, messages: said } }
