// Looks at all that a start of an app depends on, without serving it: the machine, the variables, the packages, the file, its
// declarations and handlers, the store, the port. `fastagentic doctor app` prints each step.
import { Auth, Budget, Runtime } from "@fastagentic/core"
import { Cause, Effect, Exit, Layer } from "effect"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { dirname, resolve } from "node:path"
import * as AppFile from "../../AppFile.ts"
import * as Defaults from "../../Defaults.ts"
import * as ErrorText from "../../ErrorText.ts"
import * as Store from "../../Store.ts"
import * as Variables from "../variables.ts"
import type { Finding, Say } from "./finding.ts"

export interface Options {
  readonly file: string
  /** Empty for the store that `run` would choose by the app's name. */
  readonly store: string
  readonly host: string
  readonly port: number
}

export const walk = Effect.fnUntraced(function*({ file, host, port, store }: Options, say: Say) {
  /** Does one step, and says how it went. */
  const step = <A, E, R>(check: string, effect: Effect.Effect<A, E, R>, shown: (value: A) => string, remedy?: string) =>
    Effect.exit(effect).pipe(
      Effect.tap((exit) =>
        say(
          Exit.isSuccess(exit)
            ? { check, verdict: "ok", detail: shown(exit.value) }
            : {
              check,
              verdict: "fault",
              detail: ErrorText.of(Cause.squash(exit.cause)),
              ...(remedy === undefined ? {} : { remedy })
            }
        )
      )
    )
  yield* say({ check: "node", verdict: "ok", detail: `${process.version}, ${process.platform} ${process.arch}` })
  yield* step("variables", Variables.check(Object.keys(process.env)), () => "none is misspelt")
  yield* say(effectOf(file))
  yield* step(
    "port",
    free(host, port),
    () => `${host}:${port} is free`,
    "Stop what listens there, or choose another --port."
  )
  const loaded = yield* step("file", AppFile.load(file), ({ app }) => `${app.identifier} ${app.version}`)
  if (Exit.isFailure(loaded)) return
  const { app } = loaded.value
  yield* step("start", start(loaded.value), () => {
    const { agents, prompts, resources, tools } = app
    const counts = [agents, Object.keys(tools.tools), resources, prompts].map(({ length }) => length)
    return `agents, tools, resources, prompts: ${counts.join(", ")}`
  })
  const { isThere, reading, shown } = yield* Store.parse(store === "" ? `.fastagentic/${app.identifier}.db` : store)
  if (!isThere()) return yield* say({ check: "store", verdict: "note", detail: `${shown} is made at the first start` })
  yield* step("store", built(reading), () => `${shown} can be read`)
})

const built = <A, E, R>(layer: Layer.Layer<A, E, R>) => Effect.scoped(Effect.asVoid(Layer.build(layer)))

/** Starts the app as `run` does, on a store in memory and without a server. */
const start = Effect.fnUntraced(function*({ app, handlers }: AppFile.AnyRunnable) {
  const { layer } = yield* Store.parse("memory")
  const services = Layer.mergeAll(Defaults.layerOpen, Auth.layerNone, Budget.layerUnlimited, layer, handlers)
  yield* built(Runtime.layer(app).pipe(Layer.provide(services)))
})

/** Two copies of effect do not know the services of each other. */
const effectOf = (file: string): Finding => {
  const found = (from: string) => {
    try {
      return createRequire(from).resolve("effect")
    } catch {
      return undefined
    }
  }
  const check = "effect"
  const own = found(import.meta.filename)
  const ofTheApp = found(resolve(dirname(file), "app.js"))
  if (ofTheApp === undefined) {
    return { check, verdict: "note", detail: "the app's folder has none: a file that imports it cannot be loaded" }
  }
  return own === ofTheApp
    ? { check, verdict: "ok", detail: "one copy" }
    : {
      check,
      verdict: "fault",
      detail: `two copies: ${ofTheApp} and ${String(own)}`,
      remedy: "Install one version of effect for both: npm ls effect shows who asks for which."
    }
}

const free = (host: string, port: number) =>
  Effect.callback<void, unknown>((resume) => {
    const server = createServer()
    server.once("error", (error) => resume(Effect.fail(error)))
    server.listen(port, host, () => server.close(() => resume(Effect.void)))
  })
