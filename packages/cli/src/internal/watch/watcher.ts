// Serves an app in a child process that is replaced when a file of the app changes: `run --watch` and `dev`. Durable runs
// continue in the next process. The child names its files (loaded.ts); it stops when the channel closes.
import { Console, Deferred, Effect, Queue } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { Files } from "./files.ts"
import { variable } from "./loaded.ts"

/** How long a change waits for those that an editor or a checkout makes together, in milliseconds. */
const together = 100

/** How long a process has to stop before it is killed, in milliseconds; a longer `--grace` is cut off here. */
const killMillis = 30_000

interface Child {
  readonly stop: Effect.Effect<void>
  readonly ended: Effect.Effect<number | NodeJS.Signals | null>
}

const start = (args: ReadonlyArray<string>, files: Files): Effect.Effect<Child> =>
  Effect.sync(() => {
    const [, bin = ""] = process.argv
    const child: ChildProcess = spawn(process.execPath, [...process.execArgv, bin, ...args], {
      // Stdin belongs to the command that watches: `dev` asks on it.
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: { ...process.env, [variable]: "1" }
    })
    const ended = Deferred.makeUnsafe<number | NodeJS.Signals | null>()
    child.on("message", (file) => {
      if (typeof file === "string") files.add(file)
    })
    child.once("exit", (code, signal) => Deferred.doneUnsafe(ended, Effect.succeed(code ?? signal)))
    child.once("error", () => Deferred.doneUnsafe(ended, Effect.succeed(null)))
    const stop = Effect.suspend(() => {
      if (child.connected) child.disconnect()
      const killed = Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), Deferred.await(ended))
      return Effect.asVoid(Effect.timeoutOrElse(Deferred.await(ended), { duration: killMillis, orElse: () => killed }))
    })
    return { stop, ended: Deferred.await(ended) }
  })

const exitOf = (code: number | NodeJS.Signals | null) => typeof code === "number" ? `exit code ${code}` : String(code)

/** Serves the app with these arguments of the command until the scope of the caller ends. */
export const serve = (args: ReadonlyArray<string>): Effect.Effect<never> =>
  Effect.scoped(Effect.gen(function*() {
    const changes = yield* Queue.unbounded<string>()
    const files = yield* Effect.acquireRelease(
      Effect.sync(() => new Files((file) => Queue.offerUnsafe(changes, file))),
      (files) => Effect.sync(() => files.close())
    )
    while (true) {
      const file = yield* Effect.scoped(Effect.gen(function*() {
        const child = yield* Effect.acquireRelease(start(args, files), ({ stop }) => stop)
        const endedFirst = Effect.andThen(
          Effect.flatMap(child.ended, (code) =>
            Console.error(
              `fastagentic: the app ended (${exitOf(code)}); it starts again when one of its files changes`
            )),
          Effect.never
        )
        return yield* Effect.raceFirst(Queue.take(changes), endedFirst)
      }))
      yield* Console.error(`fastagentic: ${file} has changed`)
      yield* Effect.sleep(together)
      yield* Queue.clear(changes)
    }
  }))
