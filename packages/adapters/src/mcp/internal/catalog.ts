// The tools of one server as they were pinned, beside those that it lists now. McpRemote.ts offers the pinned ones to models, and
// asks before each call whether the server still has the same.
import { Clock, Effect } from "effect"
import { type Definition, differences, fromListed, type Pinned, type Pins } from "../RemoteDefinition.ts"
import { type PinsUnusable, RemoteToolChanged, type RequestError } from "../RemoteError.ts"
import type { Connection } from "./connection.ts"
import type { PinStore } from "./pins.ts"

/** The most tools of one server. */
const most = 1_000

/** How old a list may be that no notice has called into question. */
const freshMillis = 5 * 60_000

interface Listed {
  readonly generation: number
  readonly at: number
  readonly tools: ReadonlyMap<string, Pinned>
}

export interface Catalog {
  /** The pinned tools. The first list that a server gives is pinned as it is. */
  readonly pinned: Effect.Effect<Pins["tools"], RequestError | PinsUnusable>
  /** Fails where the server has changed the tool, or has it no more. */
  readonly check: (definition: Definition) => Effect.Effect<void, RequestError | RemoteToolChanged>
  /** The changes since the tools were pinned; a tool without a pin is new. */
  readonly changes: Effect.Effect<ReadonlyArray<Change>, RequestError>
  /** Pins the named tools as they are now, or all. */
  readonly accept: (names: ReadonlyArray<string>) => Effect.Effect<void, RequestError | PinsUnusable>
  /** The list may have changed. */
  readonly invalidate: () => void
}

/** A difference between a pinned tool and the tool that the server lists. */
export interface Change {
  readonly tool: string
  readonly kind: "new" | "changed" | "gone"
  readonly pinned: Definition | undefined
  readonly found: Definition | undefined
}

export const make = (connection: Connection, pins: PinStore): Catalog => {
  let listed: Listed | undefined
  let isStale = false

  const list = Effect.gen(function*() {
    const generation = yield* connection.ready
    const now = yield* Clock.currentTimeMillis
    if (listed?.generation === generation && !isStale && now - listed.at < freshMillis) return listed.tools
    isStale = false
    const { tools } = yield* connection.request(
      "tools/list",
      (client, options) => client.listTools(undefined, { ...options, cacheMode: "refresh" })
    ).pipe(Effect.onError(() =>
      Effect.sync(() => {
        isStale = true
      })
    ))
    const found = new Map(
      tools.slice(0, most).flatMap((tool) => {
        const one = fromListed(tool)
        return one === undefined ? [] : [[one.definition.name, one]]
      })
    )
    const left = tools.filter(({ name }) => !found.has(name))
    if (left.length > 0) yield* warn(`${namesOf(left.map(({ name }) => name))} cannot be offered to a model`)
    listed = { generation, at: now, tools: found }
    const known = pins.get()
    if (known !== undefined) yield* report(changesIn(known, found))
    return found
  })

  const warn = (text: string) => Effect.logWarning(`MCP server "${connection.server}": ${text}`)

  const report = (changes: ReadonlyArray<Change>) => {
    const names = (kind: Change["kind"]) => changes.filter((change) => change.kind === kind).map(({ tool }) => tool)
    const [changed, added] = [names("changed"), names("new")]
    return Effect.all([
      changed.length === 0
        ? Effect.void
        : warn(`${namesOf(changed)} has changed and is not called before that is accepted`),
      added.length === 0 ? Effect.void : warn(`${namesOf(added)} is new and is not offered before it is accepted`)
    ], { discard: true })
  }

  const firstPinned = Effect.gen(function*() {
    const found = yield* list
    const known = pins.get()
    if (known !== undefined) return known
    const tools = Object.fromEntries(found)
    yield* pins.set(tools)
    return tools
  })

  return {
    pinned: Effect.suspend(() => {
      const known = pins.get()
      return known === undefined ? firstPinned : Effect.succeed(known)
    }),
    check: Effect.fnUntraced(function*(definition) {
      const { name: tool } = definition
      const { server } = connection
      const found = (yield* list).get(tool)
      const pinned = fromListed(definition)?.digest ?? ""
      if (found === undefined) return yield* new RemoteToolChanged({ server, tool, fields: [], pinned })
      if (found.digest === pinned) return
      const fields = differences(definition, found.definition)
      return yield* new RemoteToolChanged({ server, tool, fields, pinned, found: found.digest })
    }),
    changes: Effect.map(list, (found) => changesIn(pins.get() ?? {}, found)),
    accept: Effect.fnUntraced(function*(names) {
      isStale = true
      const found = yield* list
      const known = pins.get() ?? {}
      const isAccepted = (name: string) => names.length === 0 || names.includes(name)
      yield* pins.set(Object.fromEntries([
        ...Object.entries(known).filter(([name]) => !isAccepted(name)),
        ...[...found].filter(([name]) => isAccepted(name))
      ]))
    }),
    invalidate: () => {
      isStale = true
    }
  }
}

const changesIn = (pinned: Pins["tools"], found: ReadonlyMap<string, Pinned>): ReadonlyArray<Change> =>
  [...new Set([...Object.keys(pinned), ...found.keys()])].flatMap((tool): ReadonlyArray<Change> => {
    const before = Object.hasOwn(pinned, tool) ? pinned[tool] : undefined
    const now = found.get(tool)
    if (before !== undefined && now !== undefined && fromListed(before.definition)?.digest === now.digest) return []
    const kind = before === undefined ? "new" : now === undefined ? "gone" : "changed"
    return [{ tool, kind, pinned: before?.definition, found: now?.definition }]
  })

const namesOf = (names: ReadonlyArray<string>) => {
  const shown = names.slice(0, 10).map((name) => JSON.stringify(name.slice(0, 100)))
  return names.length > shown.length ? `${shown.join(", ")} and others` : shown.join(", ")
}
