// One line of `fastagentic doctor`: what was looked at, how it is, and the remedy of a fault. The commands print them as they
// come, so that a walk that hangs shows where.
import { Effect, Option, Redacted, Schema } from "effect"
import * as Output from "../output.ts"

export interface Finding {
  readonly check: string
  readonly verdict: "ok" | "note" | "fault"
  readonly detail: string
  readonly remedy?: string
}

/** A check found faults; the printed lines name them. */
export class FaultsFound extends Schema.TaggedError<FaultsFound>()("FaultsFound", { count: Schema.Int }) {
  override get message() {
    return `${Output.counted(this.count, "fault")} found`
  }
}

const marks = { ok: "ok   ", note: "note ", fault: "FAULT" }

const lineOf = ({ check, detail, remedy, verdict }: Finding) =>
  `${marks[verdict]}  ${check}: ${detail}${remedy === undefined ? "" : `\n       ${remedy}`}`

export type Say = (finding: Finding) => Effect.Effect<void>

/** Findings without the token, which a server may have put into its answers. */
export const without = (token: Option.Option<Redacted.Redacted>, say: Say): Say => {
  const secret = Option.getOrElse(Option.map(token, Redacted.value), () => "")
  if (secret === "") return say
  const clean = (text: string) => text.replaceAll(secret, "(the token)")
  return (finding) => say({ ...finding, check: clean(finding.check), detail: clean(finding.detail) })
}

/** Prints what a walk says, and fails when one of it is a fault. */
export const report = Effect.fnUntraced(function*<E, R>(json: boolean, walk: (say: Say) => Effect.Effect<void, E, R>) {
  let count = 0
  yield* walk((finding) => {
    if (finding.verdict === "fault") count++
    return Output.print(json, finding, lineOf)
  })
  if (count > 0) return yield* new FaultsFound({ count })
})
