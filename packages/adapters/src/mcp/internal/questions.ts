// Answers the questions of a server: its user's by an interrupt of the run, its model's by the model of the layer, its folders
// by the list of the layer. connection.ts registers this with each client; a question of no known run is cancelled.
import { Content, Policy, Run, type RunError } from "@fastagentic/core"
import type { Client, CreateMessageRequest, ElicitRequest, ElicitResult } from "@modelcontextprotocol/client"
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

export interface Answers {
  readonly server: string
  readonly calls: Calls
  /** The services of the model that answers; without it the client does not offer one. */
  readonly model: Context.Context<LanguageModel.LanguageModel> | undefined
  readonly roots: ReadonlyArray<{ readonly uri: string; readonly name?: string | undefined }>
  /** The time for an answer of a person. */
  readonly answerMillis: number
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

const elicited = async (
  { answerMillis, calls, server }: Answers,
  params: ElicitRequest["params"]
): Promise<ElicitResult> => {
  const call = calls.asking()
  if (call === undefined || !isForm(params)) return { action: "cancel" }
  const { message, requestedSchema } = params
  const schema = Option.getOrUndefined(decodeJson(requestedSchema)) ?? { type: "object" }
  if (message.length > longestQuestion || JSON.stringify(schema).length > longestSchema) return { action: "cancel" }
  const ask = Effect.gen(function*() {
    const run = yield* Run.CurrentRun
    yield* mark(call)
    return yield* run.interrupt({
      // Another question than before is asked anew: an answer belongs to the words that were read.
      name: `question of ${call.tool} ${digestOf([message, schema])}`,
      kind: "input",
      message: `The server "${server}" asks during ${call.tool}: ${message}`,
      responseSchema: schema,
      ...(yield* Policy.asked({ expiresIn: answerMillis }))
    })
  })
  const { decision, value } = await call.clock.pause(() => call.framework.promise(ask))
  if (decision === "deny") return { action: "decline" }
  if (decision !== "approve" && decision !== "edit") return { action: "cancel" }
  return { action: "accept", content: contentOf(value) }
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
