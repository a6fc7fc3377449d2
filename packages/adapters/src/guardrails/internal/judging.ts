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

/** A place of texts joined by line breaks, in code points, and what stands there instead. */
export interface Mask {
  readonly start: number
  readonly end: number
  readonly by: string
}

/** Replaces places of the joined texts; nothing when a place does not lie in them, because it would hide nothing. */
export const masked = (
  texts: ReadonlyArray<string>,
  masks: ReadonlyArray<Mask>
): ReadonlyArray<string> | undefined => {
  // Services count characters as Python does: two units of UTF-16 may be one.
  const lines = texts.map((text) => Array.from(text))
  const whole = lines.reduce((length, line) => length + line.length + 1, -1)
  if (masks.some(({ end, start }) => start < 0 || end <= start || end > whole)) return undefined
  const apart = united(masks)
  let offset = 0
  return lines.map((line) => {
    const start = offset
    offset += line.length + 1
    const inside = apart.filter((mask) => mask.end > start && mask.start < start + line.length)
    return inside.reduceRight<ReadonlyArray<string>>(
      (out, mask) => out.toSpliced(Math.max(0, mask.start - start), lengthIn(mask, start, line.length), mask.by),
      line
    ).join("")
  })
}

const lengthIn = (mask: Mask, start: number, length: number) =>
  Math.min(length, mask.end - start) - Math.max(0, mask.start - start)

/** The masks from left to right, those that overlap as one. */
const united = (masks: ReadonlyArray<Mask>): ReadonlyArray<Mask> => {
  const apart: Array<Mask> = []
  for (const mask of masks.toSorted((a, b) => a.start - b.start)) {
    const last = apart.at(-1)
    if (last === undefined || mask.start >= last.end) apart.push(mask)
    else apart[apart.length - 1] = { ...last, end: Math.max(last.end, mask.end) }
  }
  return apart
}
