// A run as a task: of the extension of 2026-07-28, where the result is inside, and of the experiment of 2025-11-25, where it
// is a request of its own. TaskMethods and ToolCall use it.
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type * as Sdk from "@modelcontextprotocol/server"
import { DateTime } from "effect"
import * as McpError from "./McpError.ts"
import { Meta } from "./ToolResult.ts"

/** The key of the extension among capabilities. */
export const extension = "io.modelcontextprotocol/tasks"

/** Names the task in the messages of 2025-11-25 that belong to it. */
export const relatedTask = "io.modelcontextprotocol/related-task"

/** How often a client may ask for a task. */
const pollMillis = 1_000

export type Status = "working" | "input_required" | "completed" | "failed" | "cancelled"

/** A run that failed on the server's side has no result; other failures are results that the model can read. */
export const isProtocolError = ({ error, state }: RunRecord): boolean =>
  state === "rejected" || (state === "failed" && (error === undefined || (!error.declared && error.status >= 500)))

/** The status of a run; `asks` says whether the client can answer one of its questions. */
export const statusOf = (run: RunRecord, asks: boolean): Status => {
  switch (run.state) {
    case "completed":
      return "completed"
    case "cancelled":
      return "cancelled"
    case "failed":
    case "rejected":
      return isProtocolError(run) ? "failed" : "completed"
    default:
      return asks ? "input_required" : "working"
  }
}

const waits: Partial<Record<NonNullable<RunRecord["waitsFor"]>, string>> = {
  interrupt: "waits for a decision",
  signal: "waits for a message",
  timer: "waits for a time",
  child: "waits for another run",
  migration: "waits for a definition that fits",
  repair: "waits for repair",
  principal: "waits for a principal that may act"
}

/** The reason for which a run does not move, or has failed. */
export const messageOf = ({ error, state, waitsFor }: RunRecord) =>
  error?.message ?? (state === "suspended" && waitsFor !== undefined ? waits[waitsFor] : undefined)

const isoOf = (millis: number) => DateTime.formatIso(DateTime.makeUnsafe(millis))

const times = ({ createdAt, updatedAt }: RunRecord) => ({
  createdAt: isoOf(createdAt),
  lastUpdatedAt: isoOf(updatedAt)
})

const statusMessage = (run: RunRecord) => {
  const message = messageOf(run)
  return message === undefined ? {} : { statusMessage: message }
}

/** The least time, in milliseconds, for which the run of a task is kept; nothing when it is kept for ever. */
type Ttl = number | undefined

/** A task of 2026-07-28. */
export const task = (run: RunRecord, asks: boolean, ttl: Ttl) => ({
  taskId: run.runId,
  status: statusOf(run, asks),
  ...times(run),
  ttlMs: ttl ?? null,
  pollIntervalMs: pollMillis,
  ...statusMessage(run)
})

/** The answer of a call that became a task of 2026-07-28. */
export const created = (run: RunRecord, traceId: string, ttl: Ttl): Sdk.CallToolResult => ({
  resultType: "task",
  content: [],
  // The questions of a task are in what its client polls.
  ...task(run, false, ttl),
  _meta: { [Meta.runId]: run.runId, [Meta.traceId]: traceId }
})

/** A task of 2025-11-25, where a tool's own error is a failure. */
export const legacyTask = (run: RunRecord, asks: boolean, ttl: Ttl) => ({
  taskId: run.runId,
  status: run.state === "failed" ? "failed" as const : statusOf(run, asks),
  ...times(run),
  ttl: ttl ?? null,
  pollInterval: pollMillis,
  ...statusMessage(run)
})

/** The answer of a call that became a task of 2025-11-25. */
export const legacyCreated = (run: RunRecord, traceId: string, ttl: Ttl): Sdk.CallToolResult => ({
  content: [],
  task: legacyTask(run, false, ttl),
  _meta: { [Meta.runId]: run.runId, [Meta.traceId]: traceId }
})

/** The error of a run that has no result. */
export const errorOf = ({ error, runId }: RunRecord) => ({
  code: McpError.internalError,
  message: error?.message ?? "The run failed",
  data: { tag: error?.tag ?? "InternalError", runId }
})
