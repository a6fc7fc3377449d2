// The user's app in a process of its own, on a SQLite file that stays when the process is killed: `test --chaos` kills it and
// starts it again on the same port.
import { Deferred, Effect, Schedule } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { variable } from "../watch/loaded.ts"
import { NotPlayed } from "./play.ts"

export interface Mortal {
  readonly url: string
  /** Kills the process as a crash does, and starts the next one. */
  readonly kill: Effect.Effect<void, NotPlayed>
}

/** Starts the app; it ends with the scope. */
export const make = Effect.fnUntraced(function*(
  file: string,
  { args, port, store }: { readonly args: ReadonlyArray<string>; readonly port: number; readonly store: string }
) {
  const http = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
  const url = `http://127.0.0.1:${port}`
  const [, bin = ""] = process.argv
  let child: ChildProcess | undefined
  let said = ""
  const spawned = Effect.sync(() => {
    said = ""
    child = spawn(
      process.execPath,
      [...process.execArgv, bin, "run", file, "--mode", "http", "--port", String(port), "--store", store, ...args],
      // The channel ends with this process, also when it is killed, and the app with it.
      { stdio: ["ignore", "ignore", "pipe", "ipc"], env: { ...process.env, HOST: "127.0.0.1", [variable]: "1" } }
    )
    child.stderr?.setEncoding("utf8").on("data", (text: string) => said = `${said}${text}`.slice(-2_000))
    return child
  })
  /** Ready, or what it said when it ended. */
  const up = Effect.gen(function*() {
    const process = yield* spawned
    const ended = yield* Deferred.make<never, NotPlayed>()
    process.once("exit", () => {
      const problem = `the app does not start: ${said.trim().split("\n").at(-1) ?? ""}`
      Deferred.doneUnsafe(ended, Effect.fail(new NotPlayed({ problem })))
    })
    const answers = Effect.retry(http.get(`${url}/ready`), Schedule.spaced("50 millis"))
    yield* Effect.raceFirst(Effect.ignore(answers), Deferred.await(ended)).pipe(
      Effect.timeoutOrElse({
        duration: "30 seconds",
        orElse: () => Effect.fail(new NotPlayed({ problem: "the app is not ready after 30 seconds" }))
      })
    )
  })
  const down = Effect.promise(async () => {
    const process = child
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return
    const ended = once(process, "exit")
    process.kill("SIGKILL")
    await ended
  })
  yield* Effect.addFinalizer(() => down)
  yield* up
  return { url, kill: Effect.andThen(down, up) } satisfies Mortal
})
