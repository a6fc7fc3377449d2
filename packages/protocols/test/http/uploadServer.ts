// A server of the desk in a process of its own, which FilesKilled.trials.ts kills: its argument is the folder of its stores.
import { Effect } from "effect"
import process from "node:process"
import { serveDesk } from "../desk.ts"
import { mountedWith } from "../fixture.ts"
import { sqliteIn } from "../stores.ts"

const server = Effect.gen(function*() {
  const url = yield* serveDesk(mountedWith({ bodyLimit: 20_000_000 }, "rest"), sqliteIn(process.argv[2] ?? ""))
  yield* Effect.sync(() => process.stdout.write(`${url}\n`))
  return yield* Effect.never
})

Effect.runFork(Effect.scoped(server))
