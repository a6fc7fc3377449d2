/**
 * A durable pause of a run that waits for a decision.
 *
 * @since 0.1.0
 */
import { Option, Schema } from "effect"

const optional = Schema.optionalKey

/**
 * The possible decisions: `edit` approves with other arguments or another value.
 *
 * @category models
 * @since 0.1.0
 */
export const Decision = Schema.Literals(["approve", "deny", "edit"])

/**
 * An answer as a caller gives it.
 *
 * @category models
 * @since 0.1.0
 */
export const Answer = Schema.Struct({
  decision: Decision,
  value: optional(Schema.Json),
  reason: optional(Schema.String)
})

/**
 * @category models
 * @since 0.1.0
 */
export type Answer = typeof Answer.Type

/**
 * How an interrupt ended. `withdraw`: the run itself has given the question up, such as a branch that lost a race. A
 * decision with an `idempotencyKey` is taken once: a repeat decides no other interrupt of the run.
 *
 * @category models
 * @since 0.1.0
 */
export const Resolution = Schema.Struct({
  decision: Schema.Literals(["approve", "deny", "edit", "expire", "withdraw"]),
  value: optional(Schema.Json),
  reason: optional(Schema.String),
  by: Schema.String,
  at: Schema.Int,
  idempotencyKey: optional(Schema.String)
})

/**
 * @category models
 * @since 0.1.0
 */
export type Resolution = typeof Resolution.Type

/**
 * The approvers: callers of the tenant that hold all these scopes, for every owner's runs; with `notRequester` callers cannot
 * decide about runs that they have caused: as owner, by triggering a schedule, by forking, retrying or resuming. `except` are
 * the ids of further callers who cannot, such as the one who edited the call.
 *
 * @category models
 * @since 0.1.0
 */
export const Approvers = Schema.Struct({
  scopes: Schema.Array(Schema.String),
  notRequester: Schema.Boolean,
  except: optional(Schema.Array(Schema.String))
})

/**
 * @category models
 * @since 0.1.0
 */
export type Approvers = typeof Approvers.Type

/**
 * The risk of the call, as information for the approver.
 *
 * @category models
 * @since 0.1.0
 */
export const Risk = Schema.Literals(["low", "medium", "high"])

/**
 * An interrupt: `tool` and `arguments` are exactly what will run when it is approved.
 *
 * `name` is unique in its run and is how a resumed run finds its answer again. An interrupt that is open at `expiresAt`
 * expires: the run resumes with `default`, or as if denied when there is none. Without `approvers` every caller who may see the
 * run and call its agent decides. `rule` names what asked for a decision. Times are Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export const Interrupt = Schema.Struct({
  id: Schema.String,
  runId: Schema.String,
  name: Schema.String,
  kind: Schema.Literals(["approval", "input"]),
  message: optional(Schema.String),
  tool: optional(Schema.String),
  toolCallId: optional(Schema.String),
  arguments: optional(Schema.Json),
  responseSchema: optional(Schema.Json),
  expiresAt: optional(Schema.Int),
  default: optional(Schema.Json),
  approvers: optional(Approvers),
  risk: optional(Risk),
  rule: optional(Schema.String),
  /** The question is for the client that called, see `ClientRequest`, and not for a person. */
  client: optional(Schema.Json),
  /** The page that a person opens; where an answer has a value, the page gives it, see `ClientRequest.openUrl`. */
  url: optional(Schema.String),
  /** The name of the signal, of a message to the run and of a receive that takes one: neither is a question. */
  signal: optional(Schema.String),
  createdAt: Schema.Int,
  state: Schema.Literals(["open", "resolved"]),
  resolution: optional(Resolution)
})

/**
 * @category models
 * @since 0.1.0
 */
export type Interrupt = typeof Interrupt.Type

/**
 * The key under which stores index who may decide: the approvers as JSON, or "" for those who see the run. A receive of a
 * signal has a key that finds nobody.
 *
 * @category accessors
 * @since 0.1.0
 */
export const audienceOf = ({ approvers, signal }: Pick<Interrupt, "approvers" | "signal">): string => {
  if (signal !== undefined) return "signal"
  return approvers === undefined ? "" : JSON.stringify([approvers.scopes, approvers.notRequester])
}

/**
 * The approvers of an audience, or undefined for "" and for text that `audienceOf` did not make.
 *
 * @category accessors
 * @since 0.1.0
 */
export const approversOf = (audience: string): Approvers | undefined =>
  Option.getOrUndefined(
    Option.map(decodeAudience(audience), ([scopes, notRequester]) => ({ scopes, notRequester }))
  )

const decodeAudience = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Tuple([Schema.Array(Schema.String), Schema.Boolean]))
)

/** The fields of an interrupt that may be large. @category models @since 0.1.0 */
export const largeFields = ["arguments", "client", "default", "responseSchema"] as const

/**
 * An interrupt as lists show it: large values are left out unless they were asked for, and `omitted` names them.
 *
 * @category models
 * @since 0.1.0
 */
export const Summary = Schema.Struct({
  ...Interrupt.fields,
  omitted: optional(Schema.Array(Schema.Literals(largeFields)))
})

/**
 * @category models
 * @since 0.1.0
 */
export type Summary = typeof Summary.Type

/**
 * The question of a run that pauses.
 *
 * @category models
 * @since 0.1.0
 */
export type Request = Pick<
  Interrupt,
  | "name"
  | "kind"
  | "message"
  | "tool"
  | "toolCallId"
  | "arguments"
  | "responseSchema"
  | "expiresAt"
  | "default"
  | "approvers"
  | "risk"
  | "rule"
  | "client"
  | "url"
>
