// Reading resources and lists for the calls of effect/rpc. RpcHandlers uses it.
import type { ResourceEntry } from "@fastagentic/core/app/Fusion"
import * as Resource from "@fastagentic/core/app/Resource"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { InvalidCursor, InvalidPayload, type ReadFailed, RunError } from "@fastagentic/core/run/RunError"
import { Effect } from "effect"
import { isRunId } from "../internal/isRunId.ts"

/** Reads a resource by its parameters, which Runtime decodes from its URI. */
export const resource = (
  runtime: Runtime["Service"],
  caller: Caller,
  { resource: { identifier, uriTemplate } }: ResourceEntry,
  params: unknown
): Effect.Effect<unknown, RunError | ReadFailed> => {
  const given = new Map<string, unknown>(Object.entries(Object(params)))
  const missing = Resource.paramNames(uriTemplate).filter((name) => given.get(name) === undefined)
  if (missing.length > 0) {
    const issues = missing.map((name) => ({ path: [name], message: "Missing key" }))
    return Effect.fail(new RunError({ reason: new InvalidPayload({ target: identifier, issues }) }))
  }
  const uri = Resource.toUri(uriTemplate, Object.fromEntries(given))
  return Effect.map(runtime.read(caller, uri), ({ content }) => content)
}

/** Lists the runs before one, whose id is the cursor. */
export const beforeRun = <A>(
  cursor: string | undefined,
  list: (page: { readonly before?: string }) => Effect.Effect<A, RunError>
): Effect.Effect<A, RunError> =>
  cursor === undefined
    ? list({})
    : isRunId(cursor)
    ? list({ before: cursor })
    : Effect.fail(new RunError({ reason: new InvalidCursor({ cursor, reason: "a cursor is the id of a run" }) }))
