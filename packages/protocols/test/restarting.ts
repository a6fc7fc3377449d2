// An agent whose words name its attempt, and the servers that run it one after the other on the same stores.
import { Audit, Auth, Budget, Event, RateLimit, Run, RunStore, type Runtime } from "@fastagentic/core"
import { Context, Effect, Layer } from "effect"
import { mounted, serve } from "./fixture.ts"
import type { layerStores } from "./stores.ts"

const indexes = [0, 1, 2, 3, 4, 5]

/** The words of an attempt. */
export const wordsOf = (attempt: "first" | "second") => indexes.map((index) => `${attempt}${index} `).join("")

/** A handler whose first attempt pauses between its words for this time, in milliseconds. */
export const makeTalker = <A>(pauseMillis: number, output: A) => {
  const state = { attempts: 0 }
  const talk = Effect.suspend(() => {
    const [word, pause] = ++state.attempts === 1 ? ["first", pauseMillis] : ["second", 1]
    return Effect.as(
      Effect.forEach(
        indexes,
        (index) => Effect.andThen(Run.emit(Event.token(`${word}${index} `)), Effect.sleep(pause)),
        { discard: true }
      ),
      output
    )
  })
  return { state, talk }
}

/** A server that ends with its scope; its runtime leaves what it runs to the next one. */
export const serveOn = <E>(
  protocol: "a2a" | "rest",
  stores: Context.Context<Layer.Success<typeof layerStores>>,
  runtime: Layer.Layer<
    Runtime.Runtime,
    E,
    RunStore.RunStore | Audit.Audit | Auth.Auth | RateLimit.RateLimit | Budget.Budget
  >
) =>
  serve(
    mounted(protocol).pipe(
      Layer.provide(runtime),
      Layer.provide(Layer.mergeAll(
        Layer.succeed(RunStore.RunStore, Context.get(stores, RunStore.RunStore)),
        Layer.succeed(Audit.Audit, Context.get(stores, Audit.Audit)),
        Auth.layerNone,
        RateLimit.layerUnlimited,
        Budget.layerUnlimited
      ))
    )
  )
