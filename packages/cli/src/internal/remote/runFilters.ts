// The fields of lists of runs as flags: `runs list` and `tail` take them.
import { RunRecord } from "@fastagentic/core"
import { Option } from "effect"
import * as Flag from "effect/cli/Flag"

export const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)

/** A flag for each field that filters lists. */
export const flags = {
  agent: text("agent", "Of this agent or tool"),
  kind: Flag.Literals("kind", RunRecord.RunRecord.fields.kind.literals).pipe(
    Flag.withDescription("Of agents, or of tools"),
    Flag.optional
  ),
  thread: text("thread", "Of this thread"),
  parent: text("parent", "Started by this run")
}

interface Filters {
  readonly agent: Option.Option<string>
  readonly kind: Option.Option<RunRecord.RunRecord["kind"]>
  readonly thread: Option.Option<string>
  readonly parent: Option.Option<string>
}

/** A field that is absent without its flag. */
export const some = <Key extends string, A>(key: Key, value: Option.Option<A>): { readonly [_ in Key]?: A } =>
  // cast: a computed key has the type of any string.
  Option.isNone(value) ? {} : { [key]: value.value } as { readonly [_ in Key]: A }

/** The filter that the flags say. */
export const filterOf = ({ agent, kind, parent, thread }: Filters) => ({
  ...some("agent", agent),
  ...some("kind", kind),
  ...some("threadId", thread),
  ...some("parentRunId", parent)
})
