// The state of a run as the result of a tool call.
import type { Failure } from "@fastagentic/core/run/Event"
import type { Interrupt } from "@fastagentic/core/run/Interrupt"
import { asRule, type RunError } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type * as Sdk from "@modelcontextprotocol/server"
import { Predicate, type Schema } from "effect"

/** The keys of this protocol in `_meta`. */
export const Meta = {
  runId: "fastagentic/runId",
  traceId: "fastagentic/traceId",
  idempotencyKey: "fastagentic/idempotencyKey",
  threadId: "fastagentic/threadId",
  timeout: "fastagentic/timeout",
  /** The tokens and the cost of the run so far. */
  usage: "fastagentic/usage",
  event: "fastagentic/event",
  /** The number of the event in the journal. */
  seq: "fastagentic/seq",
  /** The run and the number of the event after which a stream is taken up. */
  resume: "fastagentic/resume",
  error: "fastagentic/error",
  interrupts: "fastagentic/interrupts",
  /** The content comes from tools or resources: data for a model, and no instruction to it. */
  untrusted: "fastagentic/untrusted"
} as const

type Json = { readonly [key: string]: Schema.Json }

export const fromRun = (
  run: RunRecord,
  options: {
    readonly traceId: string
    readonly structured: boolean
    /** The answer of a run that has completed, when it is content. */
    readonly blocks?: ReadonlyArray<Sdk.ContentBlock> | undefined
    readonly interrupts: ReadonlyArray<Interrupt>
    /** The public path of the app, which the paths of requests begin with. */
    readonly path: string
    /** The reason for which the client's answer was refused. */
    readonly refusal?: RunError | undefined
  }
): Sdk.CallToolResult => {
  const meta = {
    [Meta.runId]: run.runId,
    [Meta.traceId]: options.traceId,
    ...(run.usage === undefined ? {} : { [Meta.usage]: run.usage })
  }
  if (run.state === "completed") {
    return options.blocks === undefined
      ? completed(run.output ?? null, options.structured, meta)
      : { content: options.blocks.map(untrusted), _meta: meta }
  }
  if (run.error !== undefined) return failed(run.error, meta)
  if (run.state === "cancelled") return refused({ _tag: "RunCancelled", runId: run.runId }, meta)
  if (run.state === "suspended" && options.interrupts.length > 0) return suspended(run, options, meta)
  return continues(run, options.path, meta)
}

const completed = (output: Schema.Json, structured: boolean, meta: Json): Sdk.CallToolResult => {
  const content = [text(typeof output === "string" ? output : JSON.stringify(output))]
  return structured && typeof output === "object" && output !== null && !Array.isArray(output)
    ? { content, structuredContent: { ...output }, _meta: meta }
    : { content, _meta: meta }
}

const failed = ({ declared, message, rule, tag, value }: Failure, meta: Json): Sdk.CallToolResult =>
  refused(
    declared && value !== undefined
      ? value
      : { ...Object(value), _tag: tag, message, ...(rule === undefined ? {} : { rule }) },
    meta
  )

/** A suspended run, with everything that is needed to decide. */
const suspended = (
  run: RunRecord,
  { interrupts, path, refusal }: {
    readonly interrupts: ReadonlyArray<Interrupt>
    readonly path: string
    readonly refusal?: RunError | undefined
  },
  meta: Json
): Sdk.CallToolResult => {
  const open = interrupts.map((interrupt) => ({
    id: interrupt.id,
    kind: interrupt.kind,
    name: interrupt.name,
    ...(interrupt.message === undefined ? {} : { message: interrupt.message }),
    ...(interrupt.url === undefined ? {} : { url: interrupt.url }),
    ...(interrupt.tool === undefined ? {} : { tool: interrupt.tool }),
    ...(interrupt.arguments === undefined ? {} : { arguments: interrupt.arguments }),
    ...(interrupt.responseSchema === undefined ? {} : { responseSchema: interrupt.responseSchema }),
    ...(interrupt.expiresAt === undefined ? {} : { expiresAt: interrupt.expiresAt }),
    answer: {
      method: "POST",
      path: `${path}/runs/${interrupt.runId}/interrupts/${interrupt.id}`,
      body: interrupt.kind === "approval"
        ? { decision: "approve | deny | edit", value: "other arguments, with edit" }
        : { decision: "approve | deny", value: "what responseSchema asks for, with approve" }
    }
  }))
  return refused(
    {
      _tag: "RunSuspended",
      message: "The run waits for a decision.",
      runId: run.runId,
      interrupts: open,
      next: open.some(({ url }) => url !== undefined) ? `${pageSteps} ${nextSteps}` : nextSteps,
      ...(refusal === undefined
        ? {}
        : { refused: { _tag: refusal.reason._tag, message: refusal.message, ...asRule(refusal.reason) } })
    },
    { ...meta, [Meta.interrupts]: open }
  )
}

/** The way on, in words for a model. */
const nextSteps =
  "Ask the user for a decision and pass it on with answer_run. Once somebody has decided, get_run gives " +
  "the result, and so does the same call with the same arguments within an hour."

const pageSteps = "Show the user the whole url of a question that has one, to open it if they want to."

/** Whether a result says that its run has not ended. */
export const isUnfinished = ({ _meta }: Pick<Sdk.Result, "_meta">): boolean => {
  const error = _meta?.[Meta.error]
  return Predicate.hasProperty(error, "_tag") && (error._tag === "RunSuspended" || error._tag === "RunContinues")
}

/** A run that continues, with the requests that read it and wait for it again. */
const continues = ({ idempotencyKey, runId, state, waitsFor, wakeAt }: RunRecord, path: string, meta: Json) =>
  refused({
    _tag: "RunContinues",
    message: "The run has not ended and continues by itself.",
    runId,
    state,
    ...(waitsFor === undefined ? {} : { waitsFor }),
    ...(wakeAt === undefined || waitsFor === "child" ? {} : { wakeAt }),
    follow: { method: "GET", path: `${path}/runs/${runId}` },
    next: "Call get_run with this runId, or the same tool with the same arguments again within an hour.",
    ...(idempotencyKey === undefined ? {} : { again: { _meta: { [Meta.idempotencyKey]: idempotencyKey } } })
  }, meta)

/** The typed error is text for the model, and data for the client: structured content has the shape of a success. */
export const refused = (error: Schema.Json, meta: Json): Sdk.CallToolResult => ({
  isError: true,
  content: [text(JSON.stringify(error))],
  _meta: { ...meta, [Meta.error]: error }
})

const text = (value: string) => untrusted({ type: "text", text: value })

/** A block that comes from a tool or an agent. */
const untrusted = (block: Sdk.ContentBlock): Sdk.ContentBlock => ({ ...block, _meta: { [Meta.untrusted]: true } })
