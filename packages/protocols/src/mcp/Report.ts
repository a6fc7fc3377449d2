// Notifications to the client of a call about its run: progress where it gave a token, logs from its level on.
// A failed send is ignored, because the client may have disconnected.
import type { RunEvent } from "@fastagentic/core/run/Event"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect } from "effect"
import * as Progress from "./Progress.ts"
import { Meta } from "./ToolResult.ts"

/** Sends events that were committed together. */
export type Report = (events: ReadonlyArray<RunEvent>, runId: string) => Effect.Effect<void>

export type Level = Sdk.LoggingLevel

/** Levels of MCP, the least severe first. */
const levels = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"] as const

const known: ReadonlyMap<string, Level> = new Map<string, Level>([
  ...levels.map((level) => [level, level] as const),
  ["trace", "debug"],
  ["warn", "warning"],
  ["fatal", "critical"]
])

const severityOf = (level: Level) => levels.indexOf(level)

export const levelOf = (value: unknown): Level | undefined => typeof value === "string" ? known.get(value) : undefined

/** Nothing when the client wants to see neither. */
export const make = (
  { _meta, notify }: Pick<Sdk.ServerContext["mcpReq"], "_meta" | "notify">,
  { level, name }: { readonly name: string; readonly level: Level | undefined }
): Report | undefined => {
  const progressToken = _meta?.progressToken
  if (progressToken === undefined && level === undefined) return undefined
  const send = (notification: Sdk.ServerNotification) => Effect.ignore(Effect.tryPromise(() => notify(notification)))
  const numberOf = Progress.makeNumbers()
  const progressed = (progressToken: Sdk.ProgressToken, one: Progress.Progress, runId: string) => {
    const { event, message, seq, total } = one
    const _meta = { [Meta.runId]: runId, [Meta.event]: event, [Meta.seq]: seq }
    return send({
      method: "notifications/progress",
      params: {
        progressToken,
        progress: numberOf(one),
        ...(total === undefined ? {} : { total }),
        ...(message === undefined ? {} : { message }),
        _meta
      }
    })
  }
  const logged = (least: Level, events: ReadonlyArray<RunEvent>, runId: string) =>
    Effect.forEach(events, (event) => {
      if (event.type !== "log") return Effect.void
      const level = known.get(event.data.level.toLowerCase()) ?? "info"
      if (severityOf(level) < severityOf(least)) return Effect.void
      return send({
        method: "notifications/message",
        params: { level, logger: name, data: event.data.message, _meta: { [Meta.runId]: runId, [Meta.seq]: event.seq } }
      })
    }, { discard: true })
  return (events, runId) =>
    Effect.andThen(
      level === undefined ? Effect.void : logged(level, events, runId),
      progressToken === undefined ? Effect.void : Effect.forEach(
        Progress.fromEvents(events),
        (progress) => progressed(progressToken, progress, runId),
        { discard: true }
      )
    )
}
