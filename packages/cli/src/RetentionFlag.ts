/**
 * How long runs are kept, as written on the command line.
 *
 * @since 0.1.0
 */
import { type Retention, RunRecord } from "@fastagentic/core"
import { Effect, Schema } from "effect"
import * as DurationFlag from "./DurationFlag.ts"

/** The text is not a list such as `completed=7d,failed=30d`. @category errors @since 0.1.0 */
export class UnknownRetention extends Schema.TaggedError<UnknownRetention>()("UnknownRetention", {
  value: Schema.String
}) {
  override get message() {
    return `--retention ${this.value}: it is completed=7d, failed, cancelled, rejected or all, acme:all=90d for a tenant, tokens=1h, blobs=1d`
  }
}

/** Parses `completed=7d,failed=30d,acme:all=90d,tokens=1h,blobs=1d`; later entries override earlier ones. @category constructors @since 0.1.0 */
export const parse = Effect.fnUntraced(function*(
  text: string
): Effect.fn.Return<Retention.Options, UnknownRetention | DurationFlag.UnknownDuration> {
  let general: Omit<Retention.Options, "tenants"> = {}
  const tenants: Record<string, Retention.Keep> = {}
  for (const one of text.split(",").filter((part) => part.trim() !== "")) {
    const [, tenant, state = "", time = ""] = /^(?:(.+):)?(\w+)=(.+)$/u.exec(one.trim()) ?? []
    if ((state === "tokens" || state === "blobs") && tenant === undefined) {
      general = { ...general, [state]: yield* DurationFlag.parse("retention", time) }
      continue
    }
    const named = RunRecord.finalStates.filter((known) => state === "all" || state === known)
    if (named.length === 0) return yield* new UnknownRetention({ value: one })
    const keep = yield* DurationFlag.parse("retention", time)
    const added = Object.fromEntries(named.map((state) => [state, keep]))
    if (tenant === undefined) general = { ...general, ...added }
    else tenants[tenant] = { ...tenants[tenant], ...added }
  }
  return { ...general, tenants }
})
