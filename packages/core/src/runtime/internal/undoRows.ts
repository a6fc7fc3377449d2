// How undos and the end that waits for them are kept: rows beside the steps of a run. compensate.ts and undoSegment.ts write
// them; whether a run has an undo is read from here by all that end runs.
import { Schema } from "effect"
import * as Event from "../../run/Event.ts"
import type { Step } from "../../store/RunStore.ts"
import { markOf } from "./outcome.ts"

/** An undo: `index` is its position among the undos of its run, which are undone the last first. */
const Undo = Schema.Struct({
  index: Schema.Int,
  state: Schema.Literals(["registered", "done", "failed"])
})

export type Undo = typeof Undo.Type

/** How a run ends once its undos are through. `forget` are the failures that a retry tries again. */
export const Ending = Schema.Struct({
  state: Schema.Literals(["failed", "cancelled", "rejected"]),
  error: Schema.optionalKey(Event.Failure),
  reason: Schema.optionalKey(Schema.String),
  rule: Schema.optionalKey(Schema.String),
  forget: Schema.Array(Schema.String)
})

export type Ending = typeof Ending.Type

export const endingKey = "~ending"
const undoKey = "~undo"

export const undoRow = (name: string, undo: Undo): Step => ({ name, value: { [undoKey]: { ...undo } } })

export const endingRow = (ending: Ending): Step => ({ name: endingKey, value: { [endingKey]: encodeEnding(ending) } })

const encodeEnding = Schema.encodeSync(Schema.toCodecJson(Ending))
const decodeEnding = Schema.decodeUnknownSync(Schema.toCodecJson(Ending))
const decodeUndo = Schema.decodeUnknownSync(Undo)

export const undoIn = (row: Schema.Json): Undo | undefined => {
  const [key, undo] = markOf(row) ?? []
  return key === undoKey ? decodeUndo(undo) : undefined
}

export const endingIn = (row: Schema.Json | undefined): Ending | undefined => {
  const [key, ending] = (row === undefined ? undefined : markOf(row)) ?? []
  return key === endingKey ? decodeEnding(ending) : undefined
}

/** The undos that are still to do, the last one first. */
export const openUndos = (rows: Iterable<Step>): ReadonlyArray<{ readonly key: string; readonly index: number }> => {
  const open: Array<{ readonly key: string; readonly index: number }> = []
  for (const { name, value } of rows) {
    const undo = undoIn(value)
    if (undo?.state === "registered") open.push({ key: name, index: undo.index })
  }
  return open.sort((a, b) => b.index - a.index)
}

/** Whether a run is at its end and its undos have begun. */
export const isEnding = (rows: Iterable<Step>): boolean => {
  for (const { name } of rows) if (name === endingKey) return true
  return false
}
