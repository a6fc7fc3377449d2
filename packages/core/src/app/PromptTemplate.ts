/**
 * A prompt with typed parameters as a value.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect"
import type * as Content from "../run/Content.ts"
import * as Agent from "./Agent.ts"
import { completionsWithin } from "./internal/completions.ts"
import type { Presentation } from "./Presentation.ts"
import type { Completions } from "./Resource.ts"

const TypeId = "~@fastagentic/core/PromptTemplate"

/** One message of a rendered prompt: text, or content. @category models @since 0.1.0 */
export type Message =
  | { readonly role: "user" | "assistant"; readonly text: string }
  | { readonly role: "user" | "assistant"; readonly content: Content.List }

/** @category models @since 0.1.0 */
export interface Handler<Identifier extends string> {
  readonly _: unique symbol
  readonly prompt: Identifier
}

/** @category models @since 0.1.0 */
export interface Handle {
  readonly render: (params: unknown) => Effect.Effect<ReadonlyArray<Message>>
  readonly complete: Completions<string>
}

/** A declared prompt. @category models @since 0.1.0 */
export interface PromptTemplate<Identifier extends string, Params extends Agent.PayloadSchema> {
  new(_: never): {}
  readonly [TypeId]: typeof TypeId
  readonly identifier: Identifier
  readonly description: string
  readonly presentation: Presentation
  readonly paramsSchema: Params
  readonly scopes: ReadonlyArray<string>
  readonly handler: Context.Key<Handler<Identifier>, Handle>
  /** Implements the prompt; a plain string is one message of the user. `finding` completes its parameters. */
  toLayer<R = never, R2 = never>(
    render: (params: Params["Type"]) => string | Effect.Effect<string | ReadonlyArray<Message>, never, R>,
    finding?: { readonly complete?: Completions<keyof Params["Type"] & string, R2> }
  ): Layer.Layer<Handler<Identifier>, never, R | R2>
}

/** @category utility types @since 0.1.0 */
export interface Any {
  readonly [TypeId]: typeof TypeId
  readonly identifier: string
  readonly description: string
  readonly presentation: Presentation
  readonly paramsSchema: Agent.PayloadSchema
  readonly scopes: ReadonlyArray<string>
}

const Proto = {
  [TypeId]: TypeId,
  toLayer(
    this: { readonly handler: Context.Key<Handler<string>, Handle> },
    render: (params: unknown) => string | Effect.Effect<string | ReadonlyArray<Message>>,
    { complete = {} }: { readonly complete?: Completions<string> } = {}
  ) {
    return Layer.effect(
      this.handler,
      Effect.contextWith((services: Context.Context<never>) => {
        const within = <A, E>(effect: Effect.Effect<A, E>) =>
          Effect.updateContext(effect, (context: Context.Context<never>) => Context.merge(services, context))
        return Effect.succeed({
          render: (params: unknown) => {
            const rendered = render(params)
            return within(typeof rendered === "string" ? Effect.succeed(rendered) : rendered).pipe(
              Effect.map((text): ReadonlyArray<Message> => typeof text === "string" ? [{ role: "user", text }] : text)
            )
          },
          complete: completionsWithin(complete, within)
        })
      })
    )
  }
}

/** Declares a prompt. @category constructors @since 0.1.0 */
export const make = <
  const Identifier extends string,
  const Params extends { readonly [key: string]: Agent.AnySchema } | Agent.PayloadSchema = {}
>(identifier: Identifier, options: {
  readonly description: string
  readonly params?: Params
  readonly scopes?: ReadonlyArray<string>
  readonly presentation?: Presentation
}): PromptTemplate<Identifier, Agent.StructOf<Params>> => {
  function PromptTemplate() {}
  Object.setPrototypeOf(PromptTemplate, Proto)
  // cast: a declared value is a function object, so that a class can extend it.
  return Object.assign(PromptTemplate, {
    identifier,
    description: options.description,
    presentation: options.presentation ?? {},
    paramsSchema: Agent.structOf(options.params ?? {}),
    scopes: options.scopes ?? [],
    handler: Context.Service<Handler<Identifier>, Handle>(`@fastagentic/core/PromptTemplate/${identifier}`)
  }) as unknown as PromptTemplate<Identifier, Agent.StructOf<Params>>
}
