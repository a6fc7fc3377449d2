// The thread of a run: reads its messages, and keeps what the run has to add until its end. currentRun.ts and segment.ts call
// it. Messages are written in the commit that completes the run, so a killed run leaves no half turn and a replay no second one.
import { Effect, Schema } from "effect"
import * as Content from "../../run/Content.ts"
import { ThreadUnusable } from "../../run/RunError.ts"
import { threadHolder } from "../../store/Files.ts"
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
    read: (query) => {
      if (threadId === undefined) return Effect.succeed([])
      if (!durable) return Effect.die(new ThreadUnusable({ agent, why: "not durable" }))
      const { threads } = live.journal.store
      return Effect.orDie(untilStored(Effect.suspend(() => threads.messages({ ...query, tenant, owner, threadId }))))
    },
    add: (messages) =>
      Effect.suspend(() => {
        // A run that another one has started is a part of that run's turn.
        if (parentRunId !== undefined) return Effect.void
        if (live.threads === "parallel") return Effect.die(new ThreadUnusable({ agent, why: "parallel" }))
        if (place.step !== undefined) return Effect.die(new ThreadUnusable({ agent, why: "in a step" }))
        if (threadId === undefined) return Effect.void
        if (!durable) return Effect.die(new ThreadUnusable({ agent, why: "not durable" }))
        if (messages.length === 0) return Effect.void
        return Effect.map(Effect.orDie(decode(messages)), (added) => {
          live.said = [...(live.said ?? []), ...added]
        })
      })
  }
}

const Messages = Schema.Array(Message)
const decode = Schema.decodeUnknownEffect(Messages)

/**
 * Messages as they are kept: passed through the guards of the output, because history is shown like any output, and with
 * their bytes in stored files, where the server keeps files.
 */
export const finishSaid = (live: LiveRun): Effect.Effect<void> =>
  Effect.andThen(
    guardSaid(live),
    Effect.suspend(() =>
      Effect.flatMap(Effect.forEach(live.said ?? [], (message) => byReference(live, message)), (said) => {
        live.said = said
        const { owner, tenant, threadId } = live.run
        const held = live.holdFiles(said)
        return threadId === undefined
          ? held
          : Effect.andThen(held, live.holdFiles(said, threadHolder({ tenant, owner, threadId })))
      })
    )
  )

const byReference = (live: LiveRun, message: Message): Effect.Effect<Message> =>
  message.content.every((content) => !Content.isBinary(content) || content.bytes === undefined)
    ? Effect.succeed(message)
    : Effect.map(Effect.forEach(message.content, (content) => stored(live, content)), (content) => ({
      ...message,
      content
    }))

/** Content whose bytes are beside it, as content that names a stored file; the same when the server keeps none. */
const stored = (live: LiveRun, content: Content.Content): Effect.Effect<Content.Content> => {
  const bytes = Content.isBinary(content) ? Content.bytesOf(content) : undefined
  if (!Content.isBinary(content) || bytes === undefined) return Effect.succeed(content)
  const { annotations, mediaType, name } = content
  const described = name === undefined ? { mediaType, bytes } : { mediaType, bytes, name }
  return Effect.map(live.service.files.save(described), ({ fileId, size }) =>
    fileId === undefined ? content : {
      type: content.type,
      mediaType,
      fileId,
      ...(size === undefined ? {} : { size }),
      ...(name === undefined ? {} : { name }),
      ...(annotations === undefined ? {} : { annotations })
    })
}

const guardSaid = (live: LiveRun): Effect.Effect<void> => {
  const { guards, said } = live
  return guards === undefined || said === undefined ? Effect.void : Effect.map(
    Effect.forEach(
      said,
      (message) => Effect.flatMap(guards.message(message), (passed) => Effect.orDie(decodeOne(passed)))
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
