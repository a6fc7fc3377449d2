// The door for tool calls inside of runs: the same scopes, rules, limits and audit log as for a direct call. CurrentRun offers
// it to ToolCall and to adapters. A direct call has been counted and audited when its run was admitted.
import { Effect } from "effect"
import type { Entry } from "../../audit/Audit.ts"
import { refusalOf } from "../../audit/internal/refusalOf.ts"
import { type Principal } from "../../run/Principal.ts"
import { type HookBlocked, RunError, type ToolDenied } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import * as Caller from "../Caller.ts"
import type { Answer, Question, ToolPolicy } from "../ToolPolicy.ts"
import type { Door } from "./door.ts"

/** A tool as the door sees it. */
export interface AskedTool {
  readonly name: string
  readonly scopes: ReadonlyArray<string>
}

/** The door for the tool calls of one run. An answer that is text refuses. */
export interface RunTools {
  /** Scopes and rules: before a human is asked. */
  readonly authorize: (tool: AskedTool) => Effect.Effect<string | undefined>
  /** Scopes, rules and limits: before the call is made. */
  readonly admit: (tool: AskedTool) => Effect.Effect<string | undefined>
  /** The line of the audit log about an admitted call, before the tool acts; `reason` names who approved it. None for a direct call. */
  readonly audit: (tool: AskedTool, reason: string | undefined) => Effect.Effect<void> | undefined
  /** Records that the app's policy or a hook refuses a call. A direct call has it in the entry about its run. */
  readonly refused: (tool: string, reason: ToolDenied | HookBlocked) => Effect.Effect<void>
  /** Records that the run has seen a file. */
  readonly saw: (target: string, read: { readonly owner: string }) => Effect.Effect<void>
  /** Whether the app declares the tool, so that it knows what arguments it takes. */
  readonly declares: (tool: string) => boolean
  /** The answer of the app's policy. */
  readonly judge: (question: Omit<Question, "principal" | "run">) => Effect.Effect<Answer>
}

/** `note` writes an entry with the run's next commit. */
export type ToolDoor = (
  run: () => RunRecord,
  principal: Principal,
  note: (entry: Entry) => Effect.Effect<void>
) => RunTools

export const makeToolDoor = (
  door: Door,
  policy: ToolPolicy | undefined,
  declares: RunTools["declares"]
): ToolDoor =>
(run, principal, note) => {
  const caller = (): Caller.Caller => Caller.make("delegation", { traceId: run().traceId })
  const isDirect = ({ name }: Pick<AskedTool, "name">) => run().kind === "tool" && run().agent === name
  const refusal = (checked: Effect.Effect<void, RunError>) =>
    Effect.match(checked, {
      onSuccess: () => undefined,
      onFailure: ({ reason }) =>
        reason._tag === "Forbidden" && reason.missing.length > 0
          ? `the caller lacks scope ${reason.missing.join(", ")}`
          : reason.message
    })
  const authorize = (tool: AskedTool) =>
    refusal(Effect.suspend(() => door.authorize(caller(), principal, `tool/${tool.name}`, tool.scopes)))
  return {
    authorize,
    admit: (tool) =>
      Effect.suspend(() =>
        isDirect(tool)
          ? authorize(tool)
          : refusal(door.admit(caller(), principal, `tool/${tool.name}`, tool.scopes))
      ),
    audit: (tool, reason) => {
      if (isDirect(tool)) return undefined
      const about = { runId: run().runId, ...(reason === undefined ? {} : { reason }) }
      return Effect.suspend(() => note(door.entry(caller(), principal, "call", `tool/${tool.name}`, about)))
    },
    refused: (name, reason) =>
      Effect.suspend(() =>
        isDirect({ name })
          ? Effect.void
          : door.audit(caller(), principal, "call", `tool/${name}`, { runId: run().runId, ...refusalOf(reason) })
      ),
    saw: (target, read) => Effect.suspend(() => door.saw(caller(), principal, target, { ...read, runId: run().runId })),
    declares,
    judge: (question) =>
      policy === undefined
        ? Effect.succeed(question.declared)
        : Effect.catchCause(
          Effect.suspend(() => policy({ ...question, principal, run: run() })),
          (cause) =>
            Effect.as(Effect.logError("The tool policy failed", cause), {
              decision: "deny",
              reason: "the tool policy failed"
            })
        )
  }
}

/** Admits every call: for runs that are only replayed. */
export const openToolDoor: ToolDoor = () => ({
  authorize: () => Effect.succeed(undefined),
  admit: () => Effect.succeed(undefined),
  audit: () => undefined,
  refused: () => Effect.void,
  saw: () => Effect.void,
  declares: () => true,
  judge: ({ declared }) => Effect.succeed(declared)
})
