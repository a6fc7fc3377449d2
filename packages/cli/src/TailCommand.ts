/**
 * `fastagentic tail`: the events of all runs of a running server as they happen.
 *
 * @since 0.1.0
 */
import { Event } from "@fastagentic/core"
import { Effect, FileSystem, Option, Struct } from "effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Output from "./internal/output.ts"
import * as RunFilters from "./internal/remote/runFilters.ts"
import * as Server from "./internal/remote/server.ts"
import * as Tailing from "./internal/remote/tailing.ts"
import * as TailPosition from "./internal/remote/tailPosition.ts"

/** @category commands @since 0.1.0 */
export const command = Command.make(
  "tail",
  {
    ...Server.flags,
    json: Output.json,
    ...RunFilters.flags,
    type: Flag.Literals("type", Struct.keys(Event.schemas)).pipe(
      Flag.withDescription("Only events of this type; may be given several times"),
      Flag.atLeast(0)
    ),
    position: Flag.String("position").pipe(
      Flag.withDescription("A file that keeps how far this tail has read: the next one continues there"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ json, position, token, type, url, ...filters }) {
    const server = { url, token }
    const files = yield* FileSystem.FileSystem
    const from = Option.isNone(position) ? undefined : yield* TailPosition.read(position.value)
    const keep = (at: TailPosition.TailPosition) =>
      Option.isNone(position)
        ? Effect.void
        : Effect.provideService(TailPosition.write(position.value, at), FileSystem.FileSystem, files)
    const options: Tailing.Options = {
      server,
      json,
      from,
      keep,
      filter: RunFilters.filterOf(filters),
      wanted: (event) => type.length === 0 || type.some((one) => one === event.type)
    }
    yield* Output.untilClosed(
      Effect.catchTag(Tailing.tail(options), "ClientError", (error) => Effect.fail(Server.problemOf(server, error)))
    )
  })
).pipe(
  Command.withDescription(
    "Print the events of all runs as they happen, on whichever node they run, until it is stopped"
  ),
  Command.provide(FetchHttpClient.layer)
)
