// The secure random numbers and ids of a handler: drawn by its own service, and recorded by HandlerClock in places outside of
// steps, so that a replay gets the same. Agent.toLayer wraps the service; inside of steps and hooks it is the real one.
import { Effect } from "effect"
import type { SecureRandom } from "effect/crypto/SecureRandom"
import * as Hex from "effect/encoding/Hex"
import { HandlerClock } from "./handlerClock.ts"

type Service = SecureRandom["Service"]

export const recordedRandom = (real: Service): Service => {
  const text = (draw: Effect.Effect<string>): Effect.Effect<string> =>
    Effect.clockWith((clock) => clock instanceof HandlerClock ? clock.recorded(draw) : draw)
  const bytes = (draw: Effect.Effect<Uint8Array>): Effect.Effect<Uint8Array> =>
    Effect.flatMap(
      text(Effect.map(draw, Hex.encode)),
      (hex) => Effect.orDie(Effect.fromResult(Hex.decode(hex)))
    )
  const intBetween: Service["intBetween"] = (min, max, options) =>
    Effect.map(text(Effect.map(real.intBetween(min, max, options), String)), Number)
  const uuid = (generate: Service["uuidV4"]) =>
    ((options?: { readonly format?: "string" | "bytes" }) =>
      options?.format === "bytes"
        ? bytes(generate({ format: "bytes" }))
        // cast: the overloads of the generator follow the format.
        : text(generate())) as Service["uuidV4"]
  return {
    intBetween,
    randomBytes: (size) => bytes(real.randomBytes(size)),
    shuffle: Effect.fnUntraced(function*<A>(elements: Iterable<A>) {
      const left = Array.from(elements)
      const shuffled: Array<A> = []
      while (left.length > 0) shuffled.push(...left.splice(yield* intBetween(0, left.length - 1), 1))
      return shuffled
    }),
    uuidV4: uuid(real.uuidV4),
    uuidV7: uuid(real.uuidV7),
    ulid: text(real.ulid)
  }
}
