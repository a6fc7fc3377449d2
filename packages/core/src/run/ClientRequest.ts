/**
 * Requests of a handler to the client that called it: a form for its user, an answer of its model, its folders.
 *
 * In a run each is a durable question: a restart does not ask twice, and the answer may reach any node. A prompt or a
 * resource asks while it is read.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Option, Predicate, Result, Schema } from "effect"
import * as JsonSchema from "../base/JsonSchema.ts"
import * as Present from "../base/Present.ts"
import * as Timings from "../base/Timings.ts"
import * as Content from "./Content.ts"
import type { Request, Resolution } from "./Interrupt.ts"
import { CurrentRun } from "./Run.ts"

const optional = Schema.optionalKey

/** The abilities that a client may have: forms, pages to open, a model, folders. @category models @since 0.1.0 */
export const Ability = Schema.Literals(["elicitation", "url", "sampling", "roots"])

/** @category models @since 0.1.0 */
export type Ability = typeof Ability.Type

/**
 * The abilities without which a tool cannot work: `Tool.make(…).annotate(ClientRequest.Requires, ["sampling"])`. A client
 * that lacks one is refused before the run starts.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Requires = Context.Reference<ReadonlyArray<Ability>>("@fastagentic/core/run/ClientRequest/Requires", {
  defaultValue: () => []
})

/**
 * The client did not answer: its user declined, it cannot do this, or the time is over. An address is `unsafe` when it is not
 * shown to anybody.
 *
 * @category errors
 * @since 0.1.0
 */
export class ClientRefused extends Schema.TaggedError<ClientRefused>()("ClientRefused", {
  name: Schema.String,
  reason: Schema.Literals(["declined", "unsupported", "expired", "unsafe"]),
  detail: optional(Schema.String)
}, { httpApiStatus: 403 }) {
  override get message() {
    switch (this.reason) {
      case "declined":
        return `The client declined the request "${this.name}"`
      case "unsupported":
        return `The client cannot answer the request "${this.name}"`
      case "expired":
        return `The client did not answer the request "${this.name}" in time`
      case "unsafe":
        return `The address of the request "${this.name}" is not shown: ${this.detail ?? ""}`
    }
  }
}

/** The reason of a denial that a protocol gives for a client without the ability. @category constants @since 0.1.0 */
export const unsupported = "unsupported"

/**
 * The way to the client. Inside a run it is a question of the run; a protocol provides it to prompts and resources; else
 * there is no client.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentClient = Context.Reference<{
  readonly ask: (request: Request) => Effect.Effect<Resolution>
}>("@fastagentic/core/run/ClientRequest/CurrentClient", {
  defaultValue: () => ({
    ask: (request) =>
      Effect.flatMap(
        Effect.serviceOption(CurrentRun),
        (run) => Option.isSome(run) ? run.value.interrupt(request) : Effect.succeed(noClient)
      )
  })
})

const noClient: Resolution = { decision: "deny", reason: unsupported, by: "runtime", at: 0 }

const ask = Effect.fnUntraced(function*<S extends Schema.ConstraintCodec<unknown, unknown>>(
  schema: S,
  expiresIn: Duration.Input | undefined,
  request: Omit<Request, "kind" | "responseSchema" | "expiresAt">
): Effect.fn.Return<S["Type"], ClientRefused> {
  const client = yield* CurrentClient
  const { name } = request
  const { decision, reason, value } = yield* client.ask({
    ...request,
    kind: "input",
    responseSchema: JsonSchema.fromSchema(schema, "input"),
    ...(expiresIn === undefined
      ? {}
      : { expiresAt: (yield* Present.millis) + Duration.toMillis(Duration.fromInputUnsafe(expiresIn)) })
  })
  if (decision === "expire") return yield* new ClientRefused({ name, reason: "expired" })
  if (decision === "deny") {
    return yield* reason === unsupported
      ? new ClientRefused({ name, reason: "unsupported" })
      : new ClientRefused({ name, reason: "declined", ...(reason === undefined ? {} : { detail: reason }) })
  }
  return yield* Effect.orDie(Schema.decodeUnknownEffect(Schema.toCodecJson(schema))(value ?? null))
})

/**
 * Asks the user of the client. `schema` is a struct of texts, numbers, yes or no and choices, with its titles,
 * descriptions and defaults; in a run every protocol can answer it, as it does `Run.interrupt`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const elicit = <S extends Schema.ConstraintCodec<unknown, unknown>>(
  name: string,
  { expiresIn, message, schema }: {
    readonly message: string
    readonly schema: S
    readonly expiresIn?: Duration.Input
  }
): Effect.Effect<S["Type"], ClientRefused> => ask(schema, expiresIn, { name, message })

/** The most characters of an address that a person can examine. */
const longestUrl = 2_048

/** An address in its ASCII form, which hides no character, or the reason for which no person should open it. */
const shownUrl = (url: string): Result.Result<string, string> => {
  const parsed = url.length > longestUrl ? null : URL.parse(url)
  if (parsed === null || parsed.href.length > longestUrl) {
    return Result.fail(`it is no address of at most ${longestUrl} characters`)
  }
  if (parsed.username !== "" || parsed.password !== "") return Result.fail("it holds credentials")
  const isLocal = parsed.protocol === "http:" && /^(localhost|127\.0\.0\.1|\[::1\])$/u.test(parsed.hostname)
  return parsed.protocol === "https:" || isLocal
    ? Result.succeed(parsed.href)
    : Result.fail("it does not begin with https")
}

/**
 * Asks the user to open a page, for what must not pass through the client: a payment, a password, an authorization.
 *
 * **Details**
 *
 * Without `schema` the question is answered once the user has agreed to open the page. With `schema` it stays open until the
 * page's own server answers it, over any protocol; the client learns then that the page is done. Every caller who may act on
 * the run can give that answer, so check at the source what it says. The page has to make sure that its visitor is the user who
 * was asked. An address is shown in its ASCII form; one that is not `https` (or `http` on this machine), or that holds
 * credentials, is `unsafe`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const openUrl: {
  <S extends Schema.ConstraintCodec<unknown, unknown>>(
    name: string,
    options: OpenUrlOptions & { readonly schema: S }
  ): Effect.Effect<S["Type"], ClientRefused>
  (name: string, options: OpenUrlOptions): Effect.Effect<void, ClientRefused>
} = Effect.fnUntraced(function*(
  name: string,
  { expiresIn, message, schema, url }: OpenUrlOptions & {
    readonly schema?: Schema.ConstraintCodec<unknown, unknown>
  }
): Effect.fn.Return<unknown, ClientRefused> {
  const shown = shownUrl(url)
  if (Result.isFailure(shown)) return yield* new ClientRefused({ name, reason: "unsafe", detail: shown.failure })
  const answer = yield* ask(schema ?? Schema.Null, expiresIn, { name, message, url: shown.success })
  return schema === undefined ? undefined : answer
})

/** @category options @since 0.1.0 */
export interface OpenUrlOptions {
  /** The reason, as the user reads it. */
  readonly message: string
  /** The page. It must not hold secrets of the user, nor let in whoever opens it. */
  readonly url: string
  readonly expiresIn?: Duration.Input
}

/** Whether the answer to a question with a page comes from the page, and not from whoever opens it. @category accessors @since 0.1.0 */
export const isAnsweredByPage = ({ responseSchema, url }: Pick<Request, "responseSchema" | "url">): boolean =>
  url !== undefined && !(Predicate.hasProperty(responseSchema, "type") && responseSchema.type === "null")

/** A call of a tool that a client's model wants. @category models @since 0.1.0 */
export const ToolUse = Schema.Struct({
  type: Schema.Literal("tool_use"),
  id: Schema.String,
  name: Schema.String,
  input: Schema.Record(Schema.String, Schema.Json)
})

/** The result of such a call. @category models @since 0.1.0 */
export const ToolResult = Schema.Struct({
  type: Schema.Literal("tool_result"),
  toolUseId: Schema.String,
  content: Content.List,
  isError: optional(Schema.Boolean)
})

/** A message to a client's model, or its answer. @category models @since 0.1.0 */
export const SampledMessage = Schema.Struct({
  role: Schema.Literals(["user", "assistant"]),
  content: Schema.Array(Schema.Union([Content.Content, ToolUse, ToolResult]))
})

/** @category models @since 0.1.0 */
export type SampledMessage = typeof SampledMessage.Type

/** The answer of a client's model. @category models @since 0.1.0 */
export const Sample = Schema.Struct({
  ...SampledMessage.fields,
  model: Schema.String,
  stopReason: optional(Schema.String)
})

/** @category models @since 0.1.0 */
export type Sample = typeof Sample.Type

/** A request to a client's model; `tools` need a client that can offer tools to it. @category models @since 0.1.0 */
export const SampleRequest = Schema.Struct({
  messages: Schema.Array(SampledMessage),
  maxTokens: Schema.Int,
  systemPrompt: optional(Schema.String),
  temperature: optional(Schema.Finite),
  stopSequences: optional(Schema.Array(Schema.String)),
  modelPreferences: optional(Schema.Struct({
    hints: optional(Schema.Array(Schema.Struct({ name: Schema.String }))),
    costPriority: optional(Schema.Finite),
    speedPriority: optional(Schema.Finite),
    intelligencePriority: optional(Schema.Finite)
  })),
  tools: optional(Schema.Array(Schema.Struct({
    name: Schema.String,
    description: optional(Schema.String),
    inputSchema: Schema.Record(Schema.String, Schema.Json)
  }))),
  toolChoice: optional(Schema.Struct({ mode: Schema.Literals(["auto", "required", "none"]) }))
})

/** @category models @since 0.1.0 */
export type SampleRequest = typeof SampleRequest.Type

/** The question of `sample` and `roots` as an interrupt keeps it. @category models @since 0.1.0 */
export const Question = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("sampling"), request: SampleRequest }),
  Schema.Struct({ kind: Schema.Literal("roots") })
])

/** @category models @since 0.1.0 */
export type Question = typeof Question.Type

const encodeQuestion = Schema.encodeEffect(Schema.toCodecJson(Question))

/**
 * Asks the client's model. Its answer costs the client's user, and not a budget of the app. Without an answer in
 * `expiresIn`, ten minutes by default, it is refused.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sample = Effect.fnUntraced(function*(
  name: string,
  { expiresIn = Timings.elicitationMillis, ...request }: SampleRequest & { readonly expiresIn?: Duration.Input }
): Effect.fn.Return<Sample, ClientRefused> {
  const client = yield* Effect.orDie(encodeQuestion({ kind: "sampling", request }))
  return yield* ask(Sample, expiresIn, { name, client, message: "An answer of the client's model" })
})

/** A folder or file that a client works in. @category models @since 0.1.0 */
export const Root = Schema.Struct({ uri: Schema.String, name: optional(Schema.String) })

/** @category models @since 0.1.0 */
export type Root = typeof Root.Type

/**
 * Asks the client for the folders that it works in.
 *
 * @category combinators
 * @since 0.1.0
 */
export const roots = (
  name = "roots",
  { expiresIn = Timings.elicitationMillis }: { readonly expiresIn?: Duration.Input } = {}
): Effect.Effect<ReadonlyArray<Root>, ClientRefused> =>
  ask(Schema.Array(Root), expiresIn, { name, client: { kind: "roots" }, message: "The folders of the client" })
