// Runs as people read them: a line of a list, a page about one, and the line of one that was changed.
import type { Effect } from "effect"
import type * as Server from "./server.ts"

type Client = Effect.Success<ReturnType<typeof Server.runsOf>>
type Run = Effect.Success<ReturnType<Client["get"]>>
export type Summary = Effect.Success<ReturnType<Client["list"]>>["items"][number]

const iso = (millis: number) => new Date(millis).toISOString()

const stateOf = ({ state, waitsFor }: Pick<Run, "state" | "waitsFor">) =>
  waitsFor === undefined ? state : `${state}(${waitsFor})`

export const lineOf = (run: Summary) =>
  [
    run.runId,
    stateOf(run),
    run.agent,
    iso(run.createdAt),
    ...(run.threadId === undefined ? [] : [`thread=${run.threadId}`]),
    ...(run.parentRunId === undefined ? [] : [`parent=${run.parentRunId}`]),
    ...(run.error === undefined ? [] : [`error=${run.error.tag}`])
  ].join(" ")

export const pageOf = (run: Run) =>
  [
    `run       ${run.runId}`,
    `${run.kind.padEnd(9)} ${run.agent}`,
    `state     ${stateOf(run)}`,
    `attempt   ${run.attempt}`,
    `events    ${run.seq}`,
    `created   ${iso(run.createdAt)}`,
    ...(run.wakeAt === undefined ? [] : [`wakes     ${iso(run.wakeAt)}`]),
    ...(run.deadline === undefined ? [] : [`deadline  ${iso(run.deadline)}`]),
    ...(run.finishedAt === undefined ? [] : [`finished  ${iso(run.finishedAt)}`]),
    ...(run.threadId === undefined ? [] : [`thread    ${run.threadId}`]),
    ...(run.parentRunId === undefined ? [] : [`parent    ${run.parentRunId}`]),
    ...(run.forkedFrom === undefined ? [] : [`forked    from ${run.forkedFrom.runId} after ${run.forkedFrom.seq}`]),
    ...(run.retriedAs === undefined ? [] : [`retried   as ${run.retriedAs}`]),
    ...(run.usage === undefined ? [] : [`usage     ${JSON.stringify(run.usage)}`]),
    `trace     ${run.traceId}`,
    `payload   ${JSON.stringify(run.payload)}`,
    ...(run.output === undefined ? [] : [`output    ${JSON.stringify(run.output)}`]),
    ...(run.error === undefined ? [] : [`error     ${run.error.tag}: ${run.error.message}`])
  ].join("\n")

export const changed = (run: Run) => `${run.runId} ${stateOf(run)}`
