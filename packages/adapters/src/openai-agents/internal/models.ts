// Wraps the models of an OpenAI agent: each call is a step of the run. agents.ts wraps the models that agents bring, and the
// runner's provider gives the others.
import { Event } from "@fastagentic/core"
import type { AgentOutputItem, Model, ModelProvider, ModelRequest, ModelResponse, StreamEvent } from "@openai/agents"
import { Effect, Schema, Stream } from "effect"
import * as Response from "effect/ai/Response"
import { Thrown } from "../../adapter/AdapterError.ts"
import { flattened } from "../../adapter/internal/flattened.ts"
import type { TurnLoop } from "../../adapter/internal/turnLoop.ts"
import { fromText } from "../../adapter/Json.ts"
import type * as ModelStep from "../../adapter/ModelStep.ts"
import type * as RuntimeModel from "../../adapter/RuntimeModel.ts"
import type { Library } from "./library.ts"
import { assistantItem, callItem, promptOf, withPrompt } from "./prompt.ts"

type Completed = Extract<StreamEvent, { readonly type: "response_done" }>["response"]

const thrown = (cause: unknown) => new Thrown({ cause })

export class Models {
  private readonly used = new Set<string>()
  private readonly wrapped = new Map<Model, Model>()
  private readonly library: Library
  private readonly loop: TurnLoop

  constructor(library: Library, loop: TurnLoop) {
    this.library = library
    this.loop = loop
  }

  /** Gives models that are named by a text. */
  provider(given: ModelProvider | undefined): ModelProvider {
    const provider = given ?? new this.library.Runner().config.modelProvider
    return { getModel: async (name) => this.wrap(await provider.getModel(name), name ?? "default") }
  }

  /** The model whose calls are steps; one that is wrapped already stays as it is. */
  wrap(model: Model, name: string): Model {
    const known = this.wrapped.get(model)
    if (known !== undefined) return known
    const { getRetryAdvice } = model
    const wrapped = this.calling((request) => this.call(model, name, request))
    if (getRetryAdvice !== undefined) wrapped.getRetryAdvice = getRetryAdvice.bind(model)
    this.wrapped.set(model, wrapped)
    this.wrapped.set(wrapped, wrapped)
    return wrapped
  }

  /** A model of the app, whose calls are steps already. */
  readonly ofApp = (name?: string): Model => {
    const own = this.loop.model(name)
    const model = this.calling(async (request) => {
      await this.loop.beginTurn()
      return rebuilt(await this.loop.ask(own, askedOf(request)))
    })
    this.wrapped.set(model, model)
    return model
  }

  private calling(call: (request: ModelRequest) => Promise<Completed>): Model {
    const { Usage } = this.library
    return {
      getResponse: async (request): Promise<ModelResponse> => {
        const { id, output, usage: { inputTokens, outputTokens, totalTokens } } = await call(request)
        return { output, usage: new Usage({ requests: 1, inputTokens, outputTokens, totalTokens }), responseId: id }
      },
      getStreamedResponse: async function*(request): AsyncGenerator<StreamEvent> {
        const response = await call(request)
        yield { type: "response_started" }
        yield { type: "response_done", response }
      }
    }
  }

  private async call(model: Model, name: string, request: ModelRequest): Promise<Completed> {
    await this.loop.beginTurn()
    const { maxTokens } = request.modelSettings
    const reply = await this.loop.callModel({
      model: name,
      prompt: promptOf(request),
      tools: [...request.tools, ...request.handoffs],
      maxOutputTokens: maxTokens,
      send: ({ maxOutputTokens, prompt }) => {
        const answer = new Answer(this.used)
        const changed = prompt === undefined ? request : withPrompt(request, prompt)
        const modelSettings = maxOutputTokens === undefined
          ? request.modelSettings
          : { ...request.modelSettings, maxTokens: maxOutputTokens }
        return {
          parts: eventsOf(model, { ...changed, modelSettings }).pipe(
            Stream.map((event) => answer.take(event)),
            flattened
          ),
          native: () => answer.completed
        }
      }
    })
    for (const part of reply.parts) if (part.type === "tool-call") this.used.add(part.id)
    // cast: what is stored as native is the response that the model gave.
    return reply.native === undefined ? rebuilt(reply) : reply.native as unknown as Completed
  }
}

const askedOf = (request: ModelRequest): RuntimeModel.Asked => {
  const { handoffs, modelSettings, outputType, tools } = request
  const { frequencyPenalty, maxTokens, presencePenalty, temperature, toolChoice, topP } = modelSettings
  const settings = { frequencyPenalty, presencePenalty, temperature, topP }
  return {
    prompt: promptOf(request),
    tools: [
      ...tools.flatMap((tool) => tool.type === "function" ? [tool] : []),
      ...handoffs.map(({ inputJsonSchema, toolDescription, toolName }) => ({
        name: toolName,
        description: toolDescription,
        parameters: inputJsonSchema
      }))
    ],
    toolChoice: toolChoiceOf(toolChoice),
    answer: outputType === "text" ? undefined : outputType.schema,
    maxOutputTokens: maxTokens,
    settings: Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
  }
}

const toolChoiceOf = (choice: unknown): RuntimeModel.Asked["toolChoice"] => {
  if (choice === "auto" || choice === "none" || choice === "required") return choice
  return typeof choice === "string" ? { tool: choice } : undefined
}

/** The model's own stream, whose signal also aborts with the step. */
const eventsOf = (model: Model, request: ModelRequest): Stream.Stream<StreamEvent, Thrown> =>
  Stream.unwrap(Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (controller) => Effect.sync(() => controller.abort())
    ),
    ({ signal }) => {
      const own = request.signal === undefined ? signal : AbortSignal.any([request.signal, signal])
      return Stream.fromAsyncIterable(model.getStreamedResponse({ ...request, signal: own }), thrown)
    }
  ))

const decodeFinish = Schema.decodeUnknownSync(Response.FinishPart)

/** Reads one answer; calls whose id was used before get one of their own. */
class Answer {
  completed: Completed | undefined
  private readonly used: Set<string>
  private hasText = false

  constructor(used: Set<string>) {
    this.used = used
  }

  take(event: StreamEvent): ReadonlyArray<Response.AnyPart> {
    if (event.type === "output_text_delta") {
      if (event.delta === "") return []
      this.hasText = true
      return [Response.makePart("text-delta", { id: "1", delta: event.delta })]
    }
    if (event.type !== "response_done") return []
    const output = event.response.output.map((item) =>
      item.type === "function_call" ? { ...item, callId: this.idOf(item.callId) } : item
    )
    this.completed = { ...event.response, output }
    return [...output.flatMap((item) => this.partsOf(item)), finishOf(this.completed)]
  }

  private partsOf(item: AgentOutputItem): ReadonlyArray<Response.AnyPart> {
    if (item.type === "function_call") {
      const { arguments: text, callId, name } = item
      const params = text.trim() === "" ? {} : fromText(text)
      return [Response.makePart("tool-call", { id: callId, name, params, providerExecuted: false })]
    }
    // A model that does not stream gives its text here.
    if (this.hasText || (item.type !== undefined && item.type !== "message") || item.role !== "assistant") return []
    return item.content.flatMap((part) =>
      part.type === "output_text" && part.text !== ""
        ? [Response.makePart("text-delta", { id: "1", delta: part.text })]
        : []
    )
  }

  private idOf(id: string): string {
    const own = id === "" || this.used.has(id) ? globalThis.crypto.randomUUID() : id
    this.used.add(own)
    return own
  }
}

const sumOf = (details: unknown, name: string): number | undefined => {
  const all: ReadonlyArray<unknown> = Array.isArray(details) ? details : [details]
  const counts = all.flatMap((one): ReadonlyArray<number> => {
    const value: unknown = typeof one === "object" && one !== null ? Reflect.get(one, name) : undefined
    return typeof value === "number" ? [value] : []
  })
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0)
}

const finishOf = ({ output, usage }: Completed): Response.FinishPart => {
  const reported = Event.checkUsage({ inputTokens: usage.inputTokens, outputTokens: usage.outputTokens })
  return decodeFinish({
    type: "finish",
    reason: output.some(({ type }) => type === "function_call") ? "tool-calls" : "stop",
    metadata: {},
    usage: {
      inputTokens: {
        total: reported?.inputTokens,
        uncached: undefined,
        cacheRead: sumOf(usage.inputTokensDetails, "cached_tokens"),
        cacheWrite: undefined
      },
      outputTokens: {
        total: reported?.outputTokens,
        text: undefined,
        reasoning: sumOf(usage.outputTokensDetails, "reasoning_tokens")
      }
    }
  })
}

/** An answer that hooks have changed, in the form of the SDK. */
const rebuilt = ({ parts, usage }: ModelStep.Reply): Completed => {
  const { inputTokens = 0, outputTokens = 0 } = usage ?? {}
  return {
    id: globalThis.crypto.randomUUID(),
    usage: { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens },
    output: parts.flatMap((part): ReadonlyArray<AgentOutputItem> =>
      part.type === "text"
        ? [assistantItem(part.text)]
        : part.type === "tool-call"
        ? [callItem(part.id, part.name, part.arguments)]
        : []
    ) as Completed["output"] // cast: the items are those that the protocol allows.
  }
}
