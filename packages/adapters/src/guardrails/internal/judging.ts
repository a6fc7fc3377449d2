// Makes a provider of the two functions that differ among services: the request and the verdict in the answer.
import { Effect } from "effect"
import * as JsonService from "../../services/internal/jsonService.ts"
import { type Check, GuardrailFailed, type Judge, type Provider, type Verdict } from "../Provider.ts"

export const provider = (
  options: JsonService.ServiceOptions,
  judgeBy: (service: JsonService.JsonService) => (check: Check) => Effect.Effect<Verdict, JsonService.ServiceFailed>
): Provider => ({
  name: options.name,
  connect: Effect.map(JsonService.make(options), (service): Judge => {
    const judge = judgeBy(service)
    return (check) =>
      Effect.mapError(
        judge(check),
        ({ reason, service }) => new GuardrailFailed({ guardrail: service, reason })
      )
  })
})

/** Judges one text after the other, until one is refused, for a service that takes one. */
export const eachText = (
  { texts }: Check,
  judge: (text: string) => Effect.Effect<string | { readonly reason: string }, JsonService.ServiceFailed>
): Effect.Effect<Verdict, JsonService.ServiceFailed> =>
  Effect.gen(function*() {
    const passed: Array<string> = []
    for (const text of texts) {
      const judged = yield* judge(text)
      if (typeof judged !== "string") return { action: "block", reason: judged.reason }
      passed.push(judged)
    }
    return passed.every((text, index) => text === texts[index])
      ? { action: "allow" }
      : { action: "modify", texts: passed }
  })

/** A place of texts joined by line breaks, and what stands there instead. */
export interface Mask {
  readonly start: number
  readonly end: number
  readonly by: string
}

/** Replaces places of the joined texts, each in the text that it begins in, from right to left. */
export const masked = (texts: ReadonlyArray<string>, masks: ReadonlyArray<Mask>): ReadonlyArray<string> => {
  let offset = 0
  return texts.map((text) => {
    const start = offset
    offset += text.length + 1
    let limit = text.length
    let out = text
    const inside = masks.filter((mask) => mask.end > start && mask.start < start + text.length)
    for (const mask of inside.toSorted((a, b) => b.start - a.start)) {
      const from = Math.max(0, mask.start - start)
      const to = Math.min(limit, mask.end - start)
      if (to <= from) continue
      out = `${out.slice(0, from)}${mask.by}${out.slice(to)}`
      limit = from
    }
    return out
  })
}
