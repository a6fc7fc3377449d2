// How the outcome of a step is kept as JSON in its row, and read from it. A plain value is kept as it is, so that rows
// written before failures were kept read as before; everything else is an object with one key that begins with "~".
import { Cause, Effect, Option, Schema } from "effect"
import type { Shape } from "../../app/Fusion.ts"
import { readBack, Unstorable } from "../../base/internal/readBack.ts"
import * as Run from "../../run/Run.ts"
import * as RunError from "../../run/RunError.ts"
import type { Step, StoredStep } from "../../store/RunStore.ts"

/** A failure as it is kept: the agent's own declared error, one of ours, or what can be kept of any other. */
export const KeptFailure = Schema.Struct({
  kind: Schema.Literals(["declared", "known", "other", "defect"]),
  value: Schema.Json
})

export type KeptFailure = typeof KeptFailure.Type

export type Outcome =
  | { readonly _tag: "Value"; readonly value: Schema.Json }
  | { readonly _tag: "Failed"; readonly failure: KeptFailure }
  /** The handler itself interrupted it. */
  | { readonly _tag: "Withdrawn" }
  /** A sleep that is over. */
  | { readonly _tag: "Elapsed" }
  /** The payload that a hook has changed. */
  | { readonly _tag: "Payload" }
  /** Kept for the run itself, and no outcome: times that it has read, its undos, and the end that waits for them. */
  | { readonly _tag: "Own" }
  /** A failure that ended its run, which is tried again. */
  | { readonly _tag: "Forgotten" }

export const withdrawn: Schema.Json = { "~withdrawn": true }
export const elapsed: Schema.Json = { "~elapsed": true }
export const forgotten: Schema.Json = { "~forgotten": true }

export const valueRow = (value: Schema.Json): Schema.Json => markOf(value) === undefined ? value : { "~value": value }

export const failedRow = (failure: KeptFailure): Schema.Json => ({ "~failed": { ...failure } })

/** The row of a payload that a hook has changed. No step has its name, and a run cannot be forked from it. */
export const payloadKey = "~payload"
export const payloadRow = (payload: Schema.Json): Schema.Json => ({ [payloadKey]: payload })

export const changedPayload = (row: Schema.Json): Schema.Json | undefined => {
  const [key, payload] = markOf(row) ?? []
  return key === payloadKey ? payload : undefined
}

/** Consecutive times that a place has read, and the position of the first of them. */
const Times = Schema.Struct({
  kind: Schema.Literals(["millis", "nanos", "monotonic", "random"]),
  place: Schema.String,
  from: Schema.Int,
  values: Schema.Array(Schema.String)
})

/** The row of times that a handler has read. No step has its name, and a run cannot be forked from it. */
const timesKey = "~times"
export const timeRow = (times: typeof Times.Type): Step => ({
  name: `${timesKey} ${times.kind} ${times.from} ${times.place}`,
  value: { [timesKey]: { ...times } }
})

export const timesIn = (row: Schema.Json): typeof Times.Type | undefined => {
  const [key, times] = markOf(row) ?? []
  return key === timesKey ? decodeTimes(times) : undefined
}

const decodeTimes = Schema.decodeUnknownSync(Times)

export const outcomeOf = (row: Schema.Json): Outcome => {
  const mark = markOf(row)
  if (mark === undefined) return { _tag: "Value", value: row }
  const [key, value] = mark
  switch (key) {
    case "~value":
      return { _tag: "Value", value }
    case "~failed":
      return { _tag: "Failed", failure: decodeFailure(value) }
    case "~withdrawn":
      return { _tag: "Withdrawn" }
    case "~elapsed":
      return { _tag: "Elapsed" }
    case payloadKey:
      return { _tag: "Payload" }
    case timesKey:
    case "~undo":
    case "~ending":
      return { _tag: "Own" }
    case "~forgotten":
      return { _tag: "Forgotten" }
    default:
      return { _tag: "Value", value: row }
  }
}

/** Whether a row is the value that a step came to, from which a run could be forked. */
export const isValue = (row: Schema.Json): boolean => outcomeOf(row)._tag === "Value"

const decodeFailure = Schema.decodeUnknownSync(KeptFailure)

export const markOf = (row: Schema.Json) => {
  if (typeof row !== "object" || row === null || Array.isArray(row)) return undefined
  let only: readonly [string, Schema.Json] | undefined
  // A row may be a large record.
  for (const key in row) {
    if (only !== undefined || !key.startsWith("~")) return undefined
    only = [key, Object.entries(row)[0]?.[1] ?? null]
  }
  return only
}

/** The outcomes of steps by when they were committed; what a handler had given up is not given to it. */
export const orderOf = (steps: ReadonlyArray<StoredStep>): ReadonlyMap<string, number> => {
  const order = new Map<string, number>()
  for (const { name, seq, value } of steps) {
    const { _tag } = outcomeOf(value)
    if (_tag === "Value" || _tag === "Failed" || _tag === "Elapsed") order.set(name, seq)
  }
  return order
}

/** Errors of ours that a handler can recover from by class. */
const known = new Map<string, Schema.ConstraintCodec<unknown, unknown>>(
  [
    Run.InterruptDenied,
    Run.DelegationFailed,
    RunError.RunError,
    RunError.HookBlocked,
    RunError.ToolDenied,
    RunError.ToolTimedOut,
    RunError.SideEffectTimeout,
    RunError.FileNotFound,
    RunError.BudgetExceeded,
    RunError.Forbidden,
    RunError.RateLimited,
    RunError.InvalidPayload
  ].map((schema) => [schema.identifier, schema])
)

/** The stored form of any failure: its tag, its message and the fields that JSON can hold. */
export const keep = Effect.fnUntraced(function*(errors: Shape | undefined, cause: Cause.Cause<unknown>) {
  const found = Cause.findErrorOption(cause)
  if (Option.isNone(found)) return { kind: "defect", value: String(Cause.squash(cause)) } satisfies KeptFailure
  const error = found.value
  const declared = errors === undefined ? Option.none() : yield* Effect.option(errors.encode(error))
  if (Option.isSome(declared)) return { kind: "declared", value: declared.value } satisfies KeptFailure
  const tag = tagOf(error)
  const schema = tag === undefined ? undefined : known.get(tag)
  if (schema !== undefined) {
    const encoded = yield* Effect.option(Schema.encodeUnknownEffect(Schema.toCodecJson(schema))(error))
    if (Option.isSome(encoded)) return { kind: "known", value: encoded.value } satisfies KeptFailure
  }
  return { kind: "other", value: plain(error) } satisfies KeptFailure
})

/** The failure as a cause, of the same class where that is known. */
export const revive = Effect.fnUntraced(function*(errors: Shape | undefined, { kind, value }: KeptFailure) {
  if (kind === "defect") return Cause.die(new Error(String(value)))
  if (kind === "declared" && errors !== undefined) {
    const error = yield* Effect.option(errors.decode(value))
    if (Option.isSome(error)) return Cause.fail(error.value)
  }
  const schema = kind === "known" ? known.get(tagOf(value) ?? "") : undefined
  if (schema !== undefined) {
    const error = yield* Effect.option(Schema.decodeUnknownEffect(Schema.toCodecJson(schema))(value))
    if (Option.isSome(error)) return Cause.fail(error.value)
  }
  return Cause.fail(lookalike(value))
})

export const tagOf = (error: unknown) =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : undefined

const plain = (error: unknown): Schema.Json => {
  if (typeof error !== "object" || error === null) return jsonOr(error, String(error))
  const kept: Record<string, Schema.Json> = {}
  if (error instanceof Error) kept["message"] = error.message
  for (
    const [key, value] of Object.entries({ ...error, ...(tagOf(error) === undefined ? {} : { _tag: tagOf(error) }) })
  ) {
    const field = jsonOr(value, undefined)
    if (field !== undefined) kept[key] = field
  }
  return error instanceof Error ? { "~error": kept } : kept
}

const jsonOr = <Otherwise>(value: unknown, otherwise: Otherwise): Schema.Json | Otherwise => {
  const back = readBack(value)
  // cast: `readBack` gives JSON or says that it cannot.
  return back instanceof Unstorable ? otherwise : back as Schema.Json
}

/** An error with the fields of the one that was kept: its tag is there to recover by, its class is not. */
const lookalike = (value: Schema.Json): unknown => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  const fields = Object.entries(value).find(([key]) => key === "~error")?.[1]
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) return value
  const { message = "", ...rest }: Record<string, unknown> = { ...fields }
  if (tagOf(fields) === "TimeoutError") return new Cause.TimeoutError(String(message))
  return Object.assign(new Error(String(message)), rest)
}
