// A run's journal as progress of a tool call.
import type { Data, RunEvent } from "@fastagentic/core/run/Event"

export interface Progress {
  /** The handler's own number, or that of the event in the journal, which only grows. */
  readonly progress: number
  readonly isOwn: boolean
  readonly total?: number
  readonly message?: string
  readonly event: RunEvent["type"]
  /** The number of the event in the journal. */
  readonly seq: number
}

/**
 * Events that were committed together, in order. Adjacent deltas of one kind are one message, so a reader that is slower
 * than the run gets fewer and longer ones. The end or pause of a run is its result, not progress.
 */
export const fromEvents = (events: ReadonlyArray<RunEvent>): ReadonlyArray<Progress> => {
  const progress: Array<Progress> = []
  for (const event of events) {
    if (event.type === "progress") {
      progress.push({ ...event.data, isOwn: true, event: event.type, seq: event.seq })
      continue
    }
    const message = messageOf(event)
    if (message === undefined) continue
    const last = progress.at(-1)
    const joined = last !== undefined && last.event === event.type && isDelta(event)
    if (joined) progress.pop()
    const whole = joined ? `${last.message}${message}` : message
    progress.push({ progress: event.seq, isOwn: false, message: whole, event: event.type, seq: event.seq })
  }
  return progress
}

/**
 * Numbers that only grow: those of the handler as they are, once it has given one; what else happens is a little more than
 * the last one then.
 */
export const makeNumbers = (): (progress: Progress) => number => {
  let last = -1
  let hasOwn = false
  return ({ isOwn, progress }) => {
    hasOwn ||= isOwn
    const next = hasOwn && !isOwn ? last : progress
    last = next > last ? next : last + Math.max(Math.abs(last), 1) * smallStep
    return last
  }
}

const smallStep = 1e-6

const isDelta = (event: RunEvent) => event.type === "token" || event.type === "reasoning_delta"

/** The messages of pauses that end by themselves, which are progress. */
const pauses: Partial<Record<Data<"run_suspended">["reason"], string>> = {
  timer: "waits for a time",
  child: "waits for another run"
}

const messageOf = (event: RunEvent): string | undefined => {
  switch (event.type) {
    case "token":
    case "reasoning_delta":
      return event.data.delta
    case "log":
      return event.data.message
    case "progress":
      return event.data.message
    case "superseded":
      return "an earlier part is superseded by what follows"
    case "node_enter":
    case "node_exit":
    case "agent_enter":
    case "agent_exit":
    case "tool_call":
    case "tool_call_start":
    case "tool_start":
    case "tool_result":
    case "custom":
      return event.data.name
    case "run_started":
    case "done":
    case "error":
    case "run_cancelled":
      return undefined
    case "run_suspended":
      return pauses[event.data.reason]
    default:
      return event.type
  }
}
