// The LangChain callbacks of one run: they forward to models, tools and nodes, and make the graph wait for the journal.
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { HookBlocked } from "@fastagentic/core/run/RunError"
import type {
  BaseCallbackHandler,
  HandleLLMNewTokenCallbackFields,
  NewTokenIndices
} from "@langchain/core/callbacks/base"
import type { Serialized } from "@langchain/core/load/serializable"
import type { BaseMessage } from "@langchain/core/messages"
import type { LLMResult } from "@langchain/core/outputs"
import { Effect, FiberSet, type Scope } from "effect"
import * as Prompt from "effect/ai/Prompt"
import { isOfApp } from "./appParts.ts"
import { placeOf } from "./callbackMetadata.ts"
import type { Place } from "./checkpoints.ts"
import type { Library } from "./library.ts"
import { promptOf } from "./messages.ts"
import * as Models from "./models.ts"
import * as Nodes from "./nodes.ts"
import * as Session from "./session.ts"
import * as Tools from "./tools.ts"

/** A refusal as a LangChain error; a model may read its message. */
class Refused extends Error {
  override readonly name = "Refused"

  /** LangChain prints this error; the reason may contain private text. */
  override toString() {
    return "refused by a hook"
  }
}

type Extra = Record<string, unknown> | undefined

const nameOf = (what: Serialized, fallback: string) => what.id.at(-1) ?? fallback

/**
 * The callbacks of one run. LangChain awaits each of them (`awaitHandlers`), so a producer of tokens waits for the
 * journal, and an error of theirs stops the graph (`raiseError`), so hooks can refuse.
 */
export const make = Effect.fnUntraced(function*(library: Library, signal: AbortSignal, place: Place) {
  const session = Session.make(library, place)
  const nodes = Nodes.make(session)
  const tools = Tools.make(session)
  const models = Models.make(session)
  const run = yield* FiberSet.makeRuntimePromise<CurrentRun | Scope.Scope>()

  const perform = (effect: Effect.Effect<void, HookBlocked, CurrentRun | Scope.Scope>) =>
    run(Effect.mapError(
      Effect.suspend(() => Effect.provideService(effect, CurrentRun, place.current)),
      (cause) => new Refused(cause.reason, { cause })
    ))

  /** Ignores starts after the end of the run. */
  const begin: typeof perform = (effect) => signal.aborted ? Promise.reject(signal.reason) : perform(effect)

  /** Ignores ends after the end of the run. */
  const finish: typeof perform = (effect) => signal.aborted ? Promise.resolve() : perform(effect)

  const startModel = (
    runId: string,
    llm: Serialized,
    prompt: Prompt.Prompt,
    tags: ReadonlyArray<string> = [],
    metadata: Extra,
    extra: Extra
  ) => {
    const place = placeOf(metadata)
    if (isOfApp(metadata)) {
      session.ofApp.set(runId, place)
      return undefined
    }
    const parameters = extra?.["invocation_params"]
    return begin(models.start(runId, place, { model: place.model ?? nameOf(llm, "model"), prompt, tags, parameters }))
  }

  class Callbacks extends library.callbacks.BaseCallbackHandler {
    override readonly name = "fastagentic"
    override awaitHandlers = true
    override raiseError = true
    /** Makes `invoke` stream without changing the messages that nodes receive. */
    readonly lc_prefer_streaming = true

    override handleChainStart(
      _chain: Serialized,
      inputs: unknown,
      runId: string,
      _parentRunId?: string,
      tags: Array<string> = [],
      metadata?: Record<string, unknown>,
      _runType?: string,
      name?: string
    ) {
      return Nodes.isNode(name, tags, metadata) ? begin(nodes.start(runId, placeOf(metadata), inputs)) : undefined
    }

    override handleChainEnd(outputs: unknown, runId: string) {
      return nodes.isOpen(runId) ? finish(nodes.end(runId, outputs)) : undefined
    }

    override handleChainError(error: unknown, runId: string) {
      return nodes.isOpen(runId) ? finish(nodes.fail(runId, error)) : undefined
    }

    override handleChatModelStart(
      llm: Serialized,
      messages: Array<Array<BaseMessage>>,
      runId: string,
      _parentRunId?: string,
      extra?: Record<string, unknown>,
      tags?: Array<string>,
      metadata?: Record<string, unknown>
    ) {
      return startModel(runId, llm, promptOf(messages[0] ?? []), tags, metadata, extra)
    }

    override handleLLMStart(
      llm: Serialized,
      prompts: Array<string>,
      runId: string,
      _parentRunId?: string,
      extra?: Record<string, unknown>,
      tags?: Array<string>,
      metadata?: Record<string, unknown>
    ) {
      return startModel(runId, llm, Prompt.make(prompts[0] ?? ""), tags, metadata, extra)
    }

    override handleLLMNewToken(
      token: string,
      _indices: NewTokenIndices,
      runId: string,
      _parentRunId?: string,
      _tags?: Array<string>,
      fields?: HandleLLMNewTokenCallbackFields
    ) {
      if (signal.aborted) return Promise.reject(signal.reason)
      const chunk = fields?.chunk
      const message = chunk !== undefined && "message" in chunk ? chunk.message : undefined
      const waiting = models.token(runId, token, message)
      return waiting === undefined ? undefined : begin(waiting)
    }

    override handleLLMEnd(result: LLMResult, runId: string) {
      return finish(models.end(runId, result))
    }

    override handleLLMError(error: unknown, runId: string) {
      return finish(models.fail(runId, error))
    }

    override handleToolStart(
      tool: Serialized,
      input: unknown,
      runId: string,
      _parentRunId?: string,
      _tags?: Array<string>,
      metadata?: Record<string, unknown>,
      name?: string,
      toolCallId?: string
    ) {
      if (isOfApp(metadata)) {
        session.ofApp.set(runId, placeOf(metadata))
        return undefined
      }
      return begin(tools.start(runId, placeOf(metadata), { name: name ?? nameOf(tool, "tool"), input, toolCallId }))
    }

    override handleToolEvent(chunk: unknown, runId: string) {
      return finish(tools.progress(runId, chunk))
    }

    override handleToolEnd(output: unknown, runId: string) {
      return finish(tools.end(runId, output))
    }

    override handleToolError(_error: unknown, runId: string) {
      return finish(tools.fail(runId))
    }
  }

  const handler: BaseCallbackHandler = new Callbacks()
  return { handler, session }
})
