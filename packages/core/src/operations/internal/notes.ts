// Notes between the nodes of an app, for protocols; Runtime builds it. A note that cannot be stored is lost, and logged. Each
// note of a request belongs to its principal, whose notes are counted over all nodes, so that no caller fills the store.
import { Effect, PubSub, Schema, type Scope, Stream } from "effect"
import type { Fusion } from "../../app/Fusion.ts"
import { resourceListeners } from "../../app/internal/resourceListeners.ts"
import * as Resource from "../../app/Resource.ts"
import * as Present from "../../base/Present.ts"
import * as Timings from "../../base/Timings.ts"
import type { RateCounters } from "../../door/RateCounters.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { Principal } from "../../run/Principal.ts"
import { RunError, TooManyOpen } from "../../run/RunError.ts"
import type { SharedNotes } from "../../store/SharedNotes.ts"

/** The principal whose requests share a note: no other principal reads it. @category models @since 0.1.0 */
export type NoteOwner = Pick<Principal, "id" | "tenant">

/** A note as it reaches a node. @category models @since 0.1.0 */
export interface SharedFact {
  readonly owner: NoteOwner
  readonly key: string
  readonly value: Schema.Json
}

/** Notes between the nodes of an app: small facts, each for a time. @category models @since 0.1.0 */
export interface NodeNotes {
  /** Shares a fact of a principal with the other nodes; refused when it has shared as many as `OpenLimits` allow. */
  readonly put: (owner: NoteOwner, key: string, value: Schema.Json, forMillis: number) => Effect.Effect<void, RunError>
  /** The fact of a principal under a key, if there is one. */
  readonly get: (owner: NoteOwner, key: string) => Effect.Effect<Schema.Json | undefined>
  /** The facts of principals that nodes share from now on, this one included, within a second. */
  readonly follow: Stream.Stream<SharedFact>
  /** The URIs of resources that have changed on any node, see `Resource.changed`. */
  readonly changes: Stream.Stream<string>
}

const isChange = Schema.is(Schema.Struct({ node: Schema.String, uri: Schema.String }))

/** Other nodes read a note within seconds; one that starts later has seen nothing to be told about. */
const changeMillis = 60_000

export const makeNotes = Effect.fnUntraced(function*(
  store: SharedNotes["Service"],
  { app, resources }: Fusion,
  { limit, rates }: { readonly rates: RateCounters["Service"]; readonly limit: number }
): Effect.fn.Return<NodeNotes, never, Scope.Scope> {
  const prefix = `${app.identifier}/`
  const node = globalThis.crypto.randomUUID()
  const local = yield* PubSub.sliding<string>(1_024)

  const share = Effect.fnUntraced(function*(key: string, value: Schema.Json, forMillis: number) {
    const expiresAt = (yield* Present.millis) + forMillis
    yield* Effect.catch(
      store.put({ key: prefix + key, value, expiresAt }),
      (error) => Effect.logWarning("A note to the other nodes could not be stored", error)
    )
  })

  // A window is as long as a note is kept: the store never holds more than two windows of notes of one principal.
  const count = Effect.fnUntraced(function*(owner: NoteOwner, windowMillis: number) {
    const key = `notes/${windowMillis}/${prefix}${folderOf(owner)}`
    const [taken] = yield* asRunError(rates.take([{ key, limit, windowMillis, algorithm: "fixed-window" }]))
    if (taken?.allowed === false) {
      return yield* Effect.fail(new RunError({ reason: new TooManyOpen({ rule: "open-notes", limit }) }))
    }
  })

  const put: NodeNotes["put"] = Effect.fnUntraced(function*(owner, key, value, forMillis) {
    // A note that ends at once only replaces another.
    if (forMillis > 0) yield* count(owner, forMillis)
    yield* share(folderOf(owner) + key, value, forMillis)
  })

  const all = Stream.suspend(() => {
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
      ? Effect.andThen(PubSub.publish(local, uri), share(`changed/${uri}`, { node, uri }, changeMillis))
      : Effect.void
  yield* Effect.acquireRelease(
    Effect.sync(() => resourceListeners.add(listener)),
    () => Effect.sync(() => resourceListeners.delete(listener))
  )

  return {
    put,
    get: (owner, key) =>
      store.get(prefix + folderOf(owner) + key).pipe(
        Effect.map((note) => note?.value),
        Effect.orElseSucceed(() => undefined)
      ),
    follow: Stream.flatMap(all, ({ key, value }) => {
      const owned = ownedIn(key)
      return owned === undefined ? Stream.empty : Stream.succeed({ ...owned, value })
    }),
    changes: Stream.merge(
      Stream.fromPubSub(local),
      Stream.flatMap(all, ({ key, value }) =>
        key.startsWith("changed/") && isChange(value) && value.node !== node
          ? Stream.succeed(value.uri)
          : Stream.empty)
    )
  }
})

const folderOf = ({ id, tenant }: NoteOwner) => `of/${encodeURIComponent(tenant)}/${encodeURIComponent(id)}/`

const ownedIn = (key: string): { readonly owner: NoteOwner; readonly key: string } | undefined => {
  const [, tenant, id, rest] = /^of\/([^/]*)\/([^/]*)\/(.*)$/su.exec(key) ?? []
  if (tenant === undefined || id === undefined || rest === undefined) return undefined
  return { owner: { tenant: decodeURIComponent(tenant), id: decodeURIComponent(id) }, key: rest }
}
