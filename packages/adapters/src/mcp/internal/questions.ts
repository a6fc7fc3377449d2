// Answers the questions of a server: its user's by an interrupt of the run, its model's by the model of the layer, its folders
// by the list of the layer. connection.ts registers this with each client; a question of no known run is cancelled.
import { Content, type Interrupt, Policy, Run, type RunError } from "@fastagentic/core"
import type {
  Client,
  CreateMessageRequest,
  ElicitRequest,
  ElicitRequestURLParams,
  ElicitResult
} from "@modelcontextprotocol/client"
import { Context, Effect, Option, Schema } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import * as Toolkit from "effect/ai/Toolkit"
import { createHash } from "node:crypto"
import * as ModelLoop from "../../effect-ai/ModelLoop.ts"
import * as PromptContent from "../../effect-ai/PromptContent.ts"
import type { Call, Calls } from "./calls.ts"
import * as McpContent from "./content.ts"
import type { Library } from "./library.ts"
import { shownUrl } from "./pages.ts"

export interface Answers {
  readonly server: string
  readonly calls: Calls
  /** The services of the model that answers; without it the client does not offer one. */
  readonly model: Context.Context<LanguageModel.LanguageModel> | undefined
  readonly roots: ReadonlyArray<{ readonly uri: string; readonly name?: string | undefined }>
  /** The time for an answer of a person. */
  readonly answerMillis: number
  /** The addresses of other networks than the public one that a page may have. */
  readonly allow: ReadonlyArray<string>
}

/** Registers the answers with a client. */
export const register = (client: Client, answers: Answers): void => {
  client.setRequestHandler("elicitation/create", ({ params }) => elicited(answers, params))
  client.setRequestHandler("roots/list", () =>
    Promise.resolve({
      roots: answers.roots.map(({ name, uri }) => ({ uri, ...(name === undefined ? {} : { name }) }))
    }))
  const { model } = answers
  if (model !== undefined) {
    client.setRequestHandler("sampling/createMessage", ({ params }) => sampled(answers, model, params))
  }
}

/** The most characters of a question, and of the schema of its answer. */
const [longestQuestion, longestSchema] = [4_000, 64 * 1_024]

const decodeJson = Schema.decodeUnknownOption(Schema.Json)

const isForm = (
  params: ElicitRequest["params"]
): params is Extract<ElicitRequest["params"], { readonly requestedSchema: unknown }> => "requestedSchema" in params

const elicited = async (answers: Answers, params: ElicitRequest["params"]): Promise<ElicitResult> => {
  const call = answers.calls.asking()
  if (call === undefined) return { action: "cancel" }
  return isForm(params) ? form(answers, call, params) : page(answers, call, params)
}

const form = async (
  answers: Answers,
  call: Call,
  { message, requestedSchema }: Extract<ElicitRequest["params"], { readonly requestedSchema: unknown }>
): Promise<ElicitResult> => {
  const schema = Option.getOrUndefined(decodeJson(requestedSchema)) ?? { type: "object" }
  if (message.length > longestQuestion || JSON.stringify(schema).length > longestSchema) return { action: "cancel" }
  const { decision, value } = await asked(answers, call, [message, schema], {
    message: `The server "${answers.server}" asks during ${call.tool}: ${message}`,
    responseSchema: schema
  })
  if (decision === "deny") return { action: "decline" }
  if (decision !== "approve" && decision !== "edit") return { action: "cancel" }
  return { action: "accept", content: contentOf(value) }
}

/** A page of the server: a person opens it, and agrees once through with it. The app does not fetch it. */
const page = async (
  answers: Answers,
  call: Call,
  { message, url }: Pick<ElicitRequestURLParams, "message" | "url">
): Promise<ElicitResult> => {
  const shown = shownUrl(url, answers.allow)
  if (shown === undefined || message.length > longestQuestion) return { action: "cancel" }
  const { decision } = await asked(answers, call, [message, url], {
    message: `The server "${answers.server}" asks during ${call.tool} to open a page of ${
      new URL(shown).host
    }: ${message}`,
    url: shown,
    responseSchema: { type: "null" }
  })
  return {
    action: decision === "approve" || decision === "edit" ? "accept" : decision === "deny" ? "decline" : "cancel"
  }
}

/** Asks a person by an interrupt of the run. */
const asked = (
  { answerMillis }: Answers,
  call: Call,
  words: Schema.Json,
  request: Pick<Interrupt.Request, "message" | "responseSchema" | "url">
) => {
  const ask = Effect.gen(function*() {
    const run = yield* Run.CurrentRun
    yield* mark(call)
    return yield* run.interrupt({
      // Another question than before is asked anew: an answer belongs to the words that were read.
      name: `question of ${call.tool} ${digestOf(words)}`,
      kind: "input",
      ...request,
      ...(yield* Policy.asked({ expiresIn: answerMillis }))
    })
  })
  return call.clock.pause(() => call.framework.promise(ask))
}

/** The most pages that one refused call wants, and that a call wants one after the other. */
const [mostPages, mostRefusals] = [5, 3]

/**
 * Makes a call, and again after a person was through with the pages that the server wants first (2025-11-25): it has not carried
 * the call out then.
 */
export const withPages = async <A>(
  library: Library,
  answers: Answers,
  make: () => Promise<A>,
  refused: ReadonlySet<string> = new Set()
): Promise<A> => {
  try {
    return await make()
  } catch (error) {
    const pages = error instanceof library.UrlElicitationRequiredError ? error.elicitations : []
    const call = answers.calls.asking()
    const ids = pages.map(({ elicitationId }) => elicitationId)
    if (call === undefined || pages.length === 0 || pages.length > mostPages || refused.size >= mostRefusals) {
      throw error
    }
    // The person said that the page is done, and the server does not.
    if (ids.some((id) => refused.has(id))) throw error
    for (const one of pages) if ((await page(answers, call, one)).action !== "accept") throw error
    return withPages(library, answers, make, new Set([...refused, ...ids]))
  }
}

/** Remembers that the call has asked: a call that rested for an answer begins again, and is not one that was lost. */
const mark = (call: Call) => Run.step(`${call.tool} asks`, Effect.succeed(true))

type Field = NonNullable<ElicitResult["content"]>[string]

const decodeContent = Schema.decodeUnknownOption(
  Schema.Record(
    Schema.String,
    Schema.Union([Schema.String, Schema.Finite, Schema.Boolean, Schema.Array(Schema.String)])
  )
)

const contentOf = (value: unknown): { [name: string]: Field } =>
  Object.fromEntries(
    Object.entries(Option.getOrElse(decodeContent(value), () => ({}))).map(([name, one]): [string, Field] => [
      name,
      typeof one === "object" ? [...one] : one
    ])
  )

const digestOf = (value: Schema.Json) => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 12)

const messageOf = (
  { content, role }: CreateMessageRequest["params"]["messages"][number]
): Effect.Effect<Prompt.Message, RunError.FileNotFound, Run.CurrentRun> => {
  const blocks = Array.isArray(content) ? content : [content]
  const contents = blocks.flatMap((block) =>
    block.type === "tool_use" || block.type === "tool_result" ? [] : [McpContent.ofBlock(block)]
  )
  return role === "user"
    ? Effect.map(PromptContent.parts(contents), (parts) => Prompt.makeMessage("user", { content: [...parts] }))
    : Effect.succeed(Prompt.makeMessage("assistant", {
      content: [Prompt.makePart("text", { text: Content.textOf(contents) })]
    }))
}

const sampled = (
  { calls }: Answers,
  model: Context.Context<LanguageModel.LanguageModel>,
  { maxTokens, messages, systemPrompt }: CreateMessageRequest["params"]
) => {
  const call = calls.asking()
  if (call === undefined) return Promise.reject(new Error("the request belongs to no call"))
  const answer = Effect.gen(function*() {
    yield* mark(call)
    const said = yield* Effect.forEach(messages, messageOf)
    const { finishReason, text } = yield* ModelLoop.run({
      ...(systemPrompt === undefined ? {} : { system: systemPrompt }),
      prompt: Prompt.fromMessages(said),
      toolkit: Toolkit.empty,
      maxTurns: 1,
      maxOutputTokens: maxTokens
    })
    return { finishReason, text }
  }).pipe(Effect.provide(model))
  const name = Option.getOrElse(Context.getOption(model, Model.ModelName), () => "unknown")
  return call.clock.pause(() => call.framework.promise(answer)).then(({ finishReason, text }) => ({
    role: "assistant" as const,
    content: { type: "text" as const, text },
    model: name,
    stopReason: finishReason === "length" ? "maxTokens" : "endTurn"
  }))
}
