// The lists of an app, page by page, and the completion of parameters; McpServer answers with them.
import type * as Caller from "@fastagentic/core/door/Caller"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect } from "effect"
import type { Method, Options } from "./Connection.ts"
import { type Catalog, completionKey, instanceOf, visibleTo } from "./McpCatalog.ts"
import * as McpError from "./McpError.ts"
import * as Pages from "./Pages.ts"

export const make = ({ catalog, runtime }: Pick<Options, "catalog" | "runtime">) => {
  const list = <Item, A>(
    params: { readonly cursor?: string | undefined } | undefined,
    itemsOf: (catalog: Catalog) => ReadonlyArray<Item>,
    keyOf: (item: Item) => string,
    resultOf: (items: Array<Item>) => A
  ): Method<A & { nextCursor?: string }> =>
  (caller) =>
    Effect.flatMap(
      visibleTo(runtime, catalog, caller),
      (some) => pageOf(itemsOf(some), keyOf, params?.cursor, caller, resultOf)
    )

  const pageOf = <Item, A>(
    all: ReadonlyArray<Item>,
    keyOf: (item: Item) => string,
    cursor: string | undefined,
    { traceId }: Caller.Caller,
    resultOf: (items: Array<Item>) => A
  ): Effect.Effect<A & { nextCursor?: string }, McpError.McpError> => {
    const page = Pages.page(all, keyOf, cursor)
    if (page === undefined) return Effect.fail(McpError.invalidCursor(cursor ?? "", traceId))
    const { items, nextCursor } = page
    return Effect.succeed({ ...resultOf(items), ...(nextCursor === undefined ? {} : { nextCursor }) })
  }

  /** The resources without parameters, and those of templates that their handlers list. */
  const resources =
    (params: { readonly cursor?: string | undefined } | undefined): Method<Sdk.ListResourcesResult> => (caller) =>
      Effect.flatMap(
        Effect.all([visibleTo(runtime, catalog, caller), runtime.instances(caller)]),
        ([some, instances]) => {
          const listed = instances.map((instance) => instanceOf(some, instance))
          const all = [...some.resources, ...listed].toSorted((a, b) => a.uri < b.uri ? -1 : 1)
          return pageOf(all, ({ uri }) => uri, params?.cursor, caller, (resources) => ({ resources }))
        }
      )

  /** The values of an enumeration, or those that the handler offers. */
  const complete = ({ argument, context, ref }: Sdk.CompleteRequest["params"]): Method<Sdk.CompleteResult> =>
    Effect.fnUntraced(function*(caller: Caller.Caller) {
      const [kind, owner] = ref.type === "ref/prompt" ? ["prompt" as const, ref.name] : ["resource" as const, ref.uri]
      const { completions } = yield* visibleTo(runtime, catalog, caller)
      const declared = completions.get(completionKey(owner, argument.name))
      const values = declared?.filter((value) => value.startsWith(argument.value)) ?? (yield* runtime.complete(caller, {
        kind,
        identifier: kind === "prompt" ? owner : catalog.templates.get(owner) ?? owner,
        argument: argument.name,
        value: argument.value,
        known: context?.arguments ?? {}
      }))
      return { completion: { values: values.slice(0, 100), total: values.length, hasMore: values.length > 100 } }
    })

  return { list, resources, complete }
}
