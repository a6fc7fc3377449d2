// Notes between the nodes of an app, for protocols; Runtime builds it. A note that cannot be stored is lost, and logged.
import { Effect, PubSub, Schema, type Scope, Stream } from "effect"
import type { Fusion } from "../../app/Fusion.ts"
import { resourceListeners } from "../../app/internal/resourceListeners.ts"
import * as Resource from "../../app/Resource.ts"
import * as Present from "../../base/Present.ts"
import * as Timings from "../../base/Timings.ts"
import type { SharedNotes } from "../../store/SharedNotes.ts"
import type { NodeNotes } from "../Runtime.ts"

const isChange = Schema.is(Schema.Struct({ node: Schema.String, uri: Schema.String }))

/** Other nodes read a note within seconds; one that starts later has seen nothing to be told about. */
const changeMillis = 60_000

export const makeNotes = Effect.fnUntraced(function*(
  store: SharedNotes["Service"],
  { app, resources }: Fusion
): Effect.fn.Return<NodeNotes, never, Scope.Scope> {
  const prefix = `${app.identifier}/`
  const node = globalThis.crypto.randomUUID()
  const local = yield* PubSub.sliding<string>(1_024)

  const put: NodeNotes["put"] = Effect.fnUntraced(function*(key, value, forMillis) {
    const expiresAt = (yield* Present.millis) + forMillis
    yield* Effect.catch(
      store.put({ key: prefix + key, value, expiresAt }),
      (error) => Effect.logWarning("A note to the other nodes could not be stored", error)
    )
  })

  const follow = Stream.suspend(() => {
    let cursor: string | undefined
    const next = Effect.suspend(() => store.since(cursor)).pipe(
      Effect.map((page) => {
        cursor = page.cursor
        return page.notes
      }),
      Effect.orElseSucceed(() => [])
    )
    return Stream.tick(Timings.pollMillis).pipe(
      Stream.mapEffect(() => next),
      Stream.flatMap(Stream.fromIterable),
      Stream.filter(({ key }) => key.startsWith(prefix)),
      Stream.map(({ key, value }) => ({ key: key.slice(prefix.length), value }))
    )
  })

  const isOurs = (uri: string) =>
    [...resources.values()].some(({ resource }) => Resource.matchUri(resource.uriTemplate, uri) !== undefined)
  const listener = (uri: string) =>
    isOurs(uri)
      ? Effect.andThen(PubSub.publish(local, uri), put(`changed/${uri}`, { node, uri }, changeMillis))
      : Effect.void
  yield* Effect.acquireRelease(
    Effect.sync(() => resourceListeners.add(listener)),
    () => Effect.sync(() => resourceListeners.delete(listener))
  )

  return {
    put,
    get: (key) =>
      store.get(prefix + key).pipe(Effect.map((note) => note?.value), Effect.orElseSucceed(() => undefined)),
    follow,
    changes: Stream.merge(
      Stream.fromPubSub(local),
      Stream.flatMap(follow, ({ key, value }) =>
        key.startsWith("changed/") && isChange(value) && value.node !== node
          ? Stream.succeed(value.uri)
          : Stream.empty)
    )
  }
})
