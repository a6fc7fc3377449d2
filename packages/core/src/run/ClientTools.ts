/**
 * Tools that the page of a client runs: an agent that declares `clientTools` gets those that the client offers with its
 * message, over AG-UI, the AI SDK and OpenAI's API.
 *
 * A call of one is a durable question of the run, which the client answers with the result. Names, descriptions and schemas
 * come from outside: they are bounded, and never more than words for the model.
 *
 * @since 0.1.0
 */
import { Effect, Option, Schema } from "effect"
import type { Interrupt } from "./Interrupt.ts"
import { CurrentRun } from "./Run.ts"

const optional = Schema.optionalKey

/** A tool of a client; `parameters` is the JSON Schema of its arguments. @category models @since 0.1.0 */
export const ClientTool = Schema.Struct({
  name: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{1,64}$/u)),
  description: optional(Schema.String.check(Schema.isMaxLength(4_096))),
  parameters: Schema.Record(Schema.String, Schema.Json)
})

/** @category models @since 0.1.0 */
export type ClientTool = typeof ClientTool.Type

/**
 * The tools, context and state that a page gives beside its message.
 *
 * @category models
 * @since 0.1.0
 */
export const Offer = Schema.Struct({
  tools: Schema.Array(ClientTool),
  context: optional(Schema.Json),
  state: optional(Schema.Json)
})

/** @category models @since 0.1.0 */
export type Offer = typeof Offer.Type

/** The most tools of a client, and the most characters of the JSON of an offer. @category constants @since 0.1.0 */
export const limits = { tools: 64, characters: 131_072 } as const

/** The message with which a protocol starts a run whose client offers something. @category conversions @since 0.1.0 */
export const toMessage = (offer: Offer): Schema.Json => ({ client: { ...offer } })

/** Messages of other origin have more than an offer. */
const decodeMessage = Schema.decodeUnknownOption(Schema.Struct({ client: Offer }), { onExcessProperty: "error" })

/** The offer in the message of a run. @category conversions @since 0.1.0 */
export const inMessage = (message: Schema.Json | undefined): Offer =>
  Option.match(decodeMessage(message), { onNone: () => nothing, onSome: ({ client }) => client })

const nothing: Offer = { tools: [] }

/**
 * The offer of the client that has started this run: its tools, and the context and state of its page. The runs that this one
 * delegates to have none.
 *
 * @category accessors
 * @since 0.1.0
 */
export const offered: Effect.Effect<Offer, never, CurrentRun> = CurrentRun.use((run) =>
  // The message is in the store: a loop of any other agent does not ask for it.
  run.clientTools ? Effect.map(run.message, inMessage) : Effect.succeed(nothing)
)

/**
 * The client gave no result: its tool failed, or the user went on without it.
 *
 * @category errors
 * @since 0.1.0
 */
export class ClientToolFailed extends Schema.TaggedError<ClientToolFailed>()("ClientToolFailed", {
  tool: Schema.String,
  reason: optional(Schema.String)
}, { httpApiStatus: 502 }) {
  override get message() {
    return `The tool "${this.tool}" of the client gave no result${this.reason === undefined ? "" : `: ${this.reason}`}`
  }
}

const kind = "tool"

/** Whether an interrupt is a call of a client's tool. @category accessors @since 0.1.0 */
export const isCall = ({ client }: Pick<Interrupt, "client">): boolean => Object(client).kind === kind

/**
 * Calls a tool of the client, and waits for its result over any restart. A model loop does it by itself.
 *
 * @category combinators
 * @since 0.1.0
 */
export const call = Effect.fnUntraced(function*(
  tool: string,
  { arguments: args, toolCallId }: { readonly toolCallId: string; readonly arguments: Schema.Json }
): Effect.fn.Return<Schema.Json, ClientToolFailed, CurrentRun> {
  const run = yield* CurrentRun
  const { decision, reason, value = null } = yield* run.interrupt({
    name: tool,
    kind: "input",
    tool,
    toolCallId,
    arguments: args,
    responseSchema: {},
    client: { kind },
    message: `The result of "${tool}", a tool of the client`
  })
  if (decision === "approve" || decision === "edit") return value
  return yield* new ClientToolFailed({ tool, ...(reason === undefined ? {} : { reason }) })
})
