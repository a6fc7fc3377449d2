/**
 * A readable resource as a value: a URI template and what its parameters are.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema } from "effect"
import * as Agent from "./Agent.ts"
import { completionsWithin } from "./internal/completions.ts"
import { resourceListeners } from "./internal/resourceListeners.ts"
import type { Presentation } from "./Presentation.ts"

const TypeId = "~@fastagentic/core/Resource"

/** @category models @since 0.1.0 */
export interface Handler<Identifier extends string> {
  readonly _: unique symbol
  readonly resource: Identifier
}

/** @category models @since 0.1.0 */
export interface Handle {
  readonly read: (params: unknown) => Effect.Effect<unknown, unknown>
  readonly list: Effect.Effect<ReadonlyArray<Instance<unknown>>> | undefined
  readonly complete: Completions<string>
}

/** One resource of a template, as lists show it. @category models @since 0.1.0 */
export interface Instance<Params> {
  readonly params: Params
  readonly title?: string
  readonly description?: string
  /** The number of bytes. */
  readonly size?: number
}

/**
 * The values that a client may offer for a parameter, from what its user has typed and the parameters that are known. At
 * most a hundred are sent.
 *
 * @category models
 * @since 0.1.0
 */
export type Completions<Names extends string, R = never> = {
  readonly [Name in Names]?: (
    value: string,
    known: { readonly [name: string]: string }
  ) => Effect.Effect<ReadonlyArray<string>, never, R>
}

/** How a resource is found: its instances, and the values of its parameters. @category options @since 0.1.0 */
export interface Finding<Params, R> {
  readonly list?: Effect.Effect<ReadonlyArray<Instance<Params>>, never, R>
  readonly complete?: Completions<keyof Params & string, R>
}

/**
 * A declared resource. `uriTemplate` is `scheme://` and segments, each literal text or one `{param}`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resource<
  Identifier extends string,
  Params extends Agent.PayloadSchema,
  Success extends Agent.AnySchema,
  Error extends Agent.AnySchema
> {
  new(_: never): {}
  readonly [TypeId]: typeof TypeId
  readonly identifier: Identifier
  readonly uriTemplate: string
  readonly description: string
  readonly presentation: Presentation
  readonly mimeType: string
  readonly paramsSchema: Params
  readonly successSchema: Success
  readonly errorSchema: Error
  readonly scopes: ReadonlyArray<string>
  readonly handler: Context.Key<Handler<Identifier>, Handle>
  /** Implements the resource; `finding` lists the instances of a template, and completes its parameters. */
  toLayer<R, R2 = never>(
    read: (params: Params["Type"]) => Effect.Effect<Success["Type"], Error["Type"], R>,
    finding?: Finding<Params["Type"], R2>
  ): Layer.Layer<Handler<Identifier>, never, R | R2>
}

/** @category utility types @since 0.1.0 */
export interface Any {
  readonly [TypeId]: typeof TypeId
  readonly identifier: string
  readonly uriTemplate: string
  readonly description: string
  readonly presentation: Presentation
  readonly mimeType: string
  readonly paramsSchema: Agent.PayloadSchema
  readonly successSchema: Agent.AnySchema
  readonly errorSchema: Agent.AnySchema
  readonly scopes: ReadonlyArray<string>
}

const Proto = {
  [TypeId]: TypeId,
  toLayer(
    this: { readonly handler: Context.Key<Handler<string>, Handle> },
    read: (params: unknown) => Effect.Effect<unknown, unknown>,
    { complete = {}, list }: Finding<unknown, never> = {}
  ) {
    return Layer.effect(
      this.handler,
      Effect.contextWith((services: Context.Context<never>) => {
        const within = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.updateContext(effect, (context: Context.Context<never>) => Context.merge(services, context))
        return Effect.succeed({
          read: (params: unknown) => within(read(params)),
          list: list && within(list),
          complete: completionsWithin(complete, within)
        })
      })
    )
  }
}

/**
 * Declares a resource. Its content is a string unless `success` says otherwise; `mimeType` is `text/plain` unless said, and
 * that of an interface of MCP Apps at a `ui://` address.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Identifier extends string,
  const Params extends { readonly [key: string]: Agent.AnySchema } | Agent.PayloadSchema = {},
  Success extends Agent.AnySchema = typeof Schema.String,
  Error extends Agent.AnySchema = typeof Schema.Never
>(identifier: Identifier, uriTemplate: string, options: {
  readonly description: string
  readonly params?: Params
  readonly success?: Success
  readonly error?: Error
  readonly mimeType?: string
  readonly scopes?: ReadonlyArray<string>
  readonly presentation?: Presentation
}): Resource<Identifier, Agent.StructOf<Params>, Success, Error> => {
  function Resource() {}
  Object.setPrototypeOf(Resource, Proto)
  // cast: a declared value is a function object, so that a class can extend it.
  return Object.assign(Resource, {
    identifier,
    uriTemplate,
    description: options.description,
    presentation: options.presentation ?? {},
    mimeType: options.mimeType ?? defaultType(uriTemplate, options.success),
    paramsSchema: Agent.structOf(options.params ?? {}),
    successSchema: options.success ?? Schema.String,
    errorSchema: options.error ?? Schema.Never,
    scopes: options.scopes ?? [],
    handler: Context.Service<Handler<Identifier>, Handle>(`@fastagentic/core/Resource/${identifier}`)
  }) as unknown as Resource<Identifier, Agent.StructOf<Params>, Success, Error>
}

const defaultType = (uriTemplate: string, success: unknown) => {
  if (uriTemplate.startsWith("ui://")) return "text/html;profile=mcp-app"
  return success === undefined ? "text/plain" : "application/json"
}

/** The parameter names of a template, in order. @category accessors @since 0.1.0 */
export const paramNames = (uriTemplate: string): ReadonlyArray<string> =>
  Array.from(uriTemplate.matchAll(/\{([^{}]*)\}/gu), (match) => match[1] ?? "")

/**
 * The encoded parameters of a URI that matches the template, segment by segment in linear time.
 *
 * @category accessors
 * @since 0.1.0
 */
export const matchUri = (uriTemplate: string, uri: string): Record<string, string> | undefined => {
  const expected = uriTemplate.split("/")
  const actual = uri.split("/")
  if (expected.length !== actual.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, segment] of expected.entries()) {
    const text = actual[index] ?? ""
    const name = /^\{([^{}]+)\}$/u.exec(segment)?.[1]
    if (name === undefined) {
      if (segment !== text) return undefined
    } else {
      const value = decodeSegment(text)
      if (value === undefined) return undefined
      params[name] = value
    }
  }
  return params
}

/** A segment never names a folder above or beside its own: no `..`, no separators, no empty text. */
const decodeSegment = (segment: string): string | undefined => {
  try {
    const value = decodeURIComponent(segment)
    return value === "" || value === "." || value === ".." || /[/\\\0]/u.test(value) ? undefined : value
  } catch {
    return undefined
  }
}

/** The URI of encoded parameters. @category conversions @since 0.1.0 */
export const toUri = (uriTemplate: string, params: { readonly [name: string]: unknown }): string =>
  uriTemplate.replaceAll(/\{([^{}]*)\}/gu, (_, name: string) => encodeURIComponent(String(params[name])))

/**
 * Says that the content of a resource has changed, or that there is one more or less of a template. Clients that subscribe
 * to it hear of it, on whatever node. It works in handlers and beside them.
 *
 * **Example** (A changed price)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Resource } from "@fastagentic/core"
 *
 * const setPrice = Effect.andThen(Effect.log("stored"), Resource.changed("prices://tea"))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const changed = (uri: string): Effect.Effect<void> =>
  Effect.suspend(() => Effect.forEach(resourceListeners, (listener) => listener(uri), { discard: true }))
