// Assembles a streamed chat completion from its chunks.
import { Effect } from "effect"
import type * as AiError from "effect/ai/AiError"
import type * as Response from "effect/ai/Response"
import { finishReason, toCall, toFinish } from "./answer.ts"
import type * as Wire from "./wire.ts"

interface OpenCall {
  readonly id: string
  readonly name: string
  readonly text: string
}

/** The state of an answer that arrives in chunks. */
export interface Progress {
  readonly id: string | undefined
  readonly open: "nothing" | "text" | "reasoning"
  readonly blocks: number
  readonly refused: boolean
  readonly calls: ReadonlyMap<number, OpenCall>
  readonly reason: string | undefined
  readonly usage: Wire.Usage | undefined
  readonly costUsd: number | undefined
  readonly finished: boolean
}

export const start: Progress = {
  id: undefined,
  open: "nothing",
  blocks: 0,
  refused: false,
  calls: new Map(),
  reason: undefined,
  usage: undefined,
  costUsd: undefined,
  finished: false
}

type Parts = ReadonlyArray<Response.StreamPartEncoded>
type Step = readonly [Progress, Parts]

const blockId = ({ blocks }: Progress): string => String(blocks)

const close = (progress: Progress): Step =>
  progress.open === "nothing" ? [progress, []] : [
    { ...progress, open: "nothing", blocks: progress.blocks + 1 },
    [{ type: `${progress.open}-end`, id: blockId(progress) }]
  ]

const write = (progress: Progress, kind: "text" | "reasoning", delta: string | null | undefined): Step => {
  if (!delta) return [progress, []]
  if (progress.open === kind) return [progress, [{ type: `${kind}-delta`, id: blockId(progress), delta }]]
  const [closed, ending] = close(progress)
  const id = blockId(closed)
  return [{ ...closed, open: kind }, [...ending, { type: `${kind}-start`, id }, { type: `${kind}-delta`, id, delta }]]
}

/** Servers that omit the index repeat the id, or send a new id for a new call. */
const indexOf = ({ calls }: Progress, delta: Wire.ToolCallDelta): number => {
  if (delta.index !== undefined && delta.index !== null) return delta.index
  const known = delta.id ? [...calls].find(([, { id }]) => id === delta.id)?.[0] : calls.size - 1
  return known ?? calls.size
}

const callDelta = (progress: Progress, delta: Wire.ToolCallDelta): Step => {
  const index = indexOf(progress, delta)
  const known = progress.calls.get(index)
  const added = delta.function?.arguments ?? ""
  const call: OpenCall = known === undefined
    ? { id: delta.id || `${progress.id ?? "call"}_${index}`, name: delta.function?.name ?? "", text: added }
    : { ...known, name: known.name || (delta.function?.name ?? ""), text: known.text + added }
  const parts: Array<Response.StreamPartEncoded> = []
  const named = known === undefined || known.name === ""
  if (named && call.name !== "") parts.push({ type: "tool-params-start", id: call.id, name: call.name })
  const unsent = named ? call.text : added
  if (call.name !== "" && unsent !== "") parts.push({ type: "tool-params-delta", id: call.id, delta: unsent })
  return [{ ...progress, calls: new Map(progress.calls).set(index, call) }, parts]
}

const run = (progress: Progress, steps: ReadonlyArray<(progress: Progress) => Step>): Step =>
  steps.reduce<Step>(([current, parts], step) => {
    const [next, added] = step(current)
    return [next, [...parts, ...added]]
  }, [progress, []])

const open = (progress: Progress, { id, model }: Wire.Chunk): Step =>
  progress.id !== undefined || !id
    ? [progress, []]
    : [{ ...progress, id }, [{ type: "response-metadata", id, modelId: model ?? undefined }]]

/** The parts of one chunk. */
export const take = (progress: Progress, chunk: Wire.Chunk): Effect.Effect<Step, AiError.AiErrorReason> => {
  const [choice] = chunk.choices ?? []
  const delta = choice?.delta
  const [started, parts] = run(progress, [
    (progress) => open(progress, chunk),
    (progress) => write(progress, "reasoning", delta?.reasoning_content),
    (progress) => write(progress, "text", delta?.content),
    (progress) => write({ ...progress, refused: progress.refused || Boolean(delta?.refusal) }, "text", delta?.refusal),
    (progress) => (delta?.tool_calls?.length ?? 0) > 0 ? close(progress) : [progress, []],
    (progress) => run(progress, (delta?.tool_calls ?? []).map((call) => (progress) => callDelta(progress, call)))
  ])
  const known: Progress = { ...started, usage: chunk.usage ?? started.usage }
  const reason = choice?.finish_reason
  if (!reason || known.reason !== undefined) return Effect.succeed([known, parts])
  return Effect.map(closeCalls({ ...known, reason }), ([closed, ending]) => [closed, [...parts, ...ending]])
}

const closeCalls = (progress: Progress): Effect.Effect<Step, AiError.AiErrorReason> => {
  const [closed, ending] = close(progress)
  return Effect.map(
    Effect.forEach([...closed.calls.values()], ({ id, name, text }) => toCall(id, name, text)),
    (
      calls
    ) => [closed, [...ending, ...calls.flatMap((call) => [{ type: "tool-params-end", id: call.id } as const, call])]]
  )
}

/** The last part, emitted once the answer is known to be complete. */
export const finish = (progress: Progress): Step => {
  const reason = progress.refused ? "content-filter" : finishReason(progress.reason, progress.calls.size)
  return [{ ...progress, finished: true }, [toFinish({ costUsd: progress.costUsd, reason, usage: progress.usage })]]
}
