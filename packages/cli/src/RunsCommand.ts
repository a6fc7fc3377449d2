/**
 * `fastagentic runs`: runs of a running server, and the runs in a store.
 *
 * @since 0.1.0
 */
import { RunRecord } from "@fastagentic/core"
import { Effect } from "effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Output from "./internal/output.ts"
import * as RemoteRuns from "./internal/remote/runs.ts"
import * as StoreFlags from "./internal/storeFlags.ts"

const flags = {
  store: StoreFlags.flag("store"),
  json: Output.json,
  olderThan: Flag.String("older-than").pipe(
    Flag.withDescription("Remove runs that have ended as long ago as this, such as 30d"),
    Flag.optional
  ),
  tokensOlderThan: Flag.String("tokens-older-than").pipe(
    Flag.withDescription("Keep journals of runs that have ended as long ago as this, such as 1h, in less room"),
    Flag.optional
  ),
  blobsOlderThan: Flag.String("blobs-older-than").pipe(
    Flag.withDescription(
      "Remove blobs that nothing refers to and that are as old as this; 0s only when no server runs"
    ),
    Flag.withDefault("1d")
  ),
  state: Flag.Literals("state", RunRecord.finalStates).pipe(
    Flag.withDescription("How they have ended; may be given several times, default all"),
    Flag.atLeast(0)
  ),
  tenant: Flag.String("tenant").pipe(Flag.withDescription("Of this tenant only"), Flag.optional),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Say what would be done, and do nothing"),
    Flag.withDefault(false)
  )
}

const prune = Command.make(
  "prune",
  flags,
  // Other subcommands need no store.
  (options) => Effect.flatMap(Effect.promise(() => import("./internal/prune.ts")), ({ prune }) => prune(options))
).pipe(Command.withDescription(
  "Remove runs of a store that ended long ago, keep journals in less room, and remove unused blobs. Stop the server of a SQLite file first"
))

/** @category commands @since 0.1.0 */
export const command = Command.make("runs").pipe(
  Command.withDescription("The runs of a running server, and `prune` for those in a store"),
  Command.withSubcommands([...RemoteRuns.commands, prune]),
  Command.provide(FetchHttpClient.layer)
)
