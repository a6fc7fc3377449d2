// Reads resources and renders prompts through the door; Runtime builds it. Neither becomes a run.
import { type Context, Effect, type Schema } from "effect"
import type { Fusion, ResourceEntry } from "../../app/Fusion.ts"
import type * as PromptTemplate from "../../app/PromptTemplate.ts"
import * as Resource from "../../app/Resource.ts"
import { handlerOf } from "../../base/internal/handlerOf.ts"
import * as Policy from "../../base/Policy.ts"
import { problemsOf } from "../../base/Validation.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { CurrentClient } from "../../run/ClientRequest.ts"
import { InvalidPayload, NotDeclared, ReadFailed, RunError } from "../../run/RunError.ts"
import type { CompletionRequest } from "../Runtime.ts"

/** Resources and prompts: read through the door, without becoming a run. */
export const makeResourceReads = (fusion: Fusion, door: Door, services: Context.Context<never>) => {
  const find = (uri: string) => {
    for (const entry of fusion.resources.values()) {
      const params = Resource.matchUri(entry.resource.uriTemplate, uri)
      if (params !== undefined) return { entry, params }
    }
    return undefined
  }

  const read = Effect.fnUntraced(function*(caller: Caller, uri: string, client?: Client) {
    const found = find(uri)
    const target = `resource/${found?.entry.resource.identifier ?? ""}`
    const principal = yield* door.enter(caller, target, found?.entry.resource.scopes ?? [])
    if (found === undefined) return yield* undeclared("resource", uri)
    const params = yield* decode(uri, found.entry.params.decode(found.params))
    const content = yield* handlerOf<Resource.Handle>(services, found.entry.resource).read(params).pipe(
      asking(client),
      Effect.catch((error) => declared(found.entry, error))
    )
    const encoded = yield* Effect.orDie(found.entry.success.encode(content))
    yield* door.audit(caller, principal, "read", target)
    return { uri, mimeType: found.entry.resource.mimeType, content: encoded }
  })

  const render = Effect.fnUntraced(function*(caller: Caller, identifier: string, params: unknown, client?: Client) {
    const entry = fusion.prompts.get(identifier)
    const target = `prompt/${entry?.prompt.identifier ?? ""}`
    const principal = yield* door.enter(caller, target, entry?.prompt.scopes ?? [])
    if (entry === undefined) return yield* undeclared("prompt", identifier)
    const decoded = yield* decode(identifier, entry.params.decode(params))
    const messages = yield* asking(client)(handlerOf<PromptTemplate.Handle>(services, entry.prompt).render(decoded))
    yield* door.audit(caller, principal, "render", target)
    return messages
  })

  /** The resources of a template that its handler lists, for callers who may read them. */
  const instances = Effect.fnUntraced(function*(caller: Caller) {
    const principal = yield* door.authenticate(caller)
    const listed = yield* Effect.forEach(
      fusion.resources.values(),
      Effect.fnUntraced(function*({ params, resource }) {
        const { list } = handlerOf<Resource.Handle>(services, resource)
        if (list === undefined || !resource.scopes.every((scope) => Policy.holds(principal.scopes, scope))) return []
        return yield* Effect.forEach(
          yield* list,
          ({ params: values, ...shown }) =>
            Effect.map(Effect.orDie(params.encode(values)), (encoded) => ({
              ...shown,
              uri: Resource.toUri(resource.uriTemplate, { ...Object(encoded) }),
              resource: resource.identifier
            }))
        )
      })
    )
    return listed.flat()
  })

  /** The values of a parameter: those that its handler offers. */
  const complete = Effect.fnUntraced(function*(caller: Caller, request: CompletionRequest) {
    const { argument, identifier, kind, known, value } = request
    const declaration = kind === "prompt"
      ? fusion.prompts.get(identifier)?.prompt
      : fusion.resources.get(identifier)?.resource
    yield* door.enter(caller, `${kind}/${declaration?.identifier ?? ""}`, declaration?.scopes ?? [])
    if (declaration === undefined) return yield* undeclared(kind, identifier)
    const { complete } = handlerOf<Pick<Resource.Handle, "complete">>(services, declaration)
    const offered = Object.hasOwn(complete, argument) ? complete[argument] : undefined
    return offered === undefined ? [] : yield* offered(value, known)
  })

  return { read, render, instances, complete }
}

type Client = typeof CurrentClient["Service"]

const asking = (client: Client | undefined) => <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  client === undefined ? effect : Effect.provideService(effect, CurrentClient, client)

const undeclared = (kind: "resource" | "prompt", identifier: string) =>
  Effect.fail(new RunError({ reason: new NotDeclared({ kind, identifier }) }))

const decode = (target: string, decoding: Effect.Effect<unknown, Schema.SchemaError>) =>
  Effect.mapError(
    decoding,
    (error) => new RunError({ reason: new InvalidPayload({ target, issues: problemsOf(error) }) })
  )

/** The resource's own typed error, encoded; anything else is a defect. */
const declared = Effect.fnUntraced(function*(entry: ResourceEntry, error: unknown) {
  const value = yield* Effect.orDie(entry.error.encode(error))
  const tag = typeof value === "object" && value !== null && "_tag" in value ? String(value["_tag"]) : "Error"
  const status = entry.errors.find((one) => one.tag === tag)?.status ?? 422
  return yield* new ReadFailed({ failure: { tag, message: tag, status, declared: true, value } })
})
