/**
 * Limits how many calls of a model are under way, and how many tokens it gets in a minute, on this node.
 *
 * @since 0.1.0
 */
import * as Hook from "@fastagentic/core/hook/Hook"
import type { HookBlocked } from "@fastagentic/core/run/RunError"
import { Duration, Effect, type Layer, Schema, Semaphore, Stream } from "effect"
import { estimateOf } from "./internal/estimate.ts"
import { TokenBucket } from "./internal/tokenBucket.ts"

/** The limits of one model. @category options @since 0.1.0 */
export interface Limit {
  /** The most calls at once. */
  readonly concurrency?: number | undefined
  /** The most tokens a minute, input and output. */
  readonly tokensPerMinute?: number | undefined
  /** How long a call waits for its turn before it is refused. Default 1 minute. */
  readonly wait?: Duration.Input | undefined
}

/** The hook: put it on an app or an agent. Waiting is not its own work, so it has no time limit. @category services @since 0.1.0 */
export class ModelLimits extends Hook.make("model-limits", { timeout: "Infinity" }) {}

/** A limit that would let nothing pass. @category errors @since 0.1.0 */
export class InvalidLimit extends Schema.TaggedError<InvalidLimit>()("InvalidLimit", { model: Schema.String }) {
  override get message() {
    return `the limits of the model "${this.model}" have to be whole numbers above 0`
  }
}

/**
 * Limits by the name of a model; `*` is for each model that has none of its own.
 *
 * **Details**
 *
 * Calls take their turns in order. Tokens are reserved by an estimate before a call, and corrected by the usage that its
 * answer reports. A call that waits too long ends its run as refused by this hook.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  limits: Readonly<Record<string, Limit>>
): Layer.Layer<Hook.Handler<"model-limits">, InvalidLimit> =>
  ModelLimits.toLayer(Effect.gen(function*() {
    for (const [model, { concurrency = 1, tokensPerMinute = 1 }] of Object.entries(limits)) {
      if (![concurrency, tokensPerMinute].every((count) => Number.isSafeInteger(count) && count > 0)) {
        return yield* new InvalidLimit({ model })
      }
    }
    const models = new Map<string, ModelTurns>()
    const turnsOf = (model: string) => {
      const known = models.get(model)
      const limit = limits[model] ?? limits["*"]
      if (known !== undefined || limit === undefined) return known
      const turns = new ModelTurns(model, limit)
      models.set(model, turns)
      return turns
    }
    return { llm: (call, next) => turnsOf(call.model)?.pass(call, next) ?? next(call) } satisfies Hook.Points
  }))

class ModelTurns {
  private readonly model: string
  private readonly waitMillis: number
  private readonly calls: Semaphore.Semaphore | undefined
  private readonly bucket: TokenBucket | undefined

  constructor(model: string, { concurrency, tokensPerMinute, wait = "1 minute" }: Limit) {
    this.model = model
    this.waitMillis = Duration.toMillis(wait)
    this.calls = concurrency === undefined ? undefined : Semaphore.makeUnsafe(concurrency)
    this.bucket = tokensPerMinute === undefined ? undefined : new TokenBucket(tokensPerMinute)
  }

  readonly pass: NonNullable<Hook.Points["llm"]> = (call, next) => {
    const estimate = estimateOf(call.prompt)
    return Stream.unwrap(Effect.as(
      this.turn(estimate),
      Stream.suspend(() => {
        let used: number | undefined
        return Stream.map(next(call), (part) => {
          if (part.type === "finish") {
            used = (part.usage.inputTokens.total ?? 0) + (part.usage.outputTokens.total ?? 0)
          }
          return part
        }).pipe(
          Stream.ensuring(
            Effect.suspend(() =>
              used === undefined || used === 0 ? Effect.void : this.bucket?.correct(estimate, used) ?? Effect.void
            )
          )
        )
      })
    ))
  }

  /** Takes a place among the calls, which the scope gives back, and then tokens. */
  private turn(estimate: number) {
    const { bucket, calls } = this
    const place = calls === undefined
      ? Effect.void
      : Effect.acquireRelease(calls.take(1), () => calls.release(1), { interruptible: true })
    return Effect.andThen(place, bucket === undefined ? Effect.void : bucket.take(estimate)).pipe(
      Effect.timeoutOrElse({
        duration: this.waitMillis,
        orElse: (): Effect.Effect<never, HookBlocked> =>
          Hook.block(ModelLimits, "llm", `the model ${this.model} is at its limit`)
      })
    )
  }
}
