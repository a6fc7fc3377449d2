// Decides whether a trace is recorded, as `OTEL_TRACES_SAMPLER` says.
import { Config, Effect } from "effect"

/** Decides by the trace id when no caller has decided before. */
export type Sampler = (traceId: string, parent: boolean | undefined) => boolean

const kinds = ["always_on", "always_off", "traceidratio"] as const

/** `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`. */
export const fromConfig = Effect.gen(function*() {
  const name = yield* Config.Literals(
    [...kinds, ...kinds.map((kind) => `parentbased_${kind}` as const)],
    "OTEL_TRACES_SAMPLER"
  ).pipe(Config.withDefault("parentbased_always_on" as const))
  const ratio = yield* Config.Number("OTEL_TRACES_SAMPLER_ARG").pipe(Config.withDefault(1))
  const share = name.endsWith("always_on") ? 1 : name.endsWith("always_off") ? 0 : ratio
  const sampler: Sampler = (traceId, parent) =>
    parent !== undefined && name.startsWith("parentbased_") ? parent : isWithin(traceId, share)
  return sampler
})

/** Every node decides the same for one trace. */
const isWithin = (traceId: string, share: number) =>
  share >= 1 || Number.parseInt(traceId.slice(-8), 16) < share * 2 ** 32
