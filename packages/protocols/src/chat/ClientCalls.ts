// The tools of a client in the chat front ends: the offer beside a message, and the results of its calls. Each front end reads
// its own wire and leaves the rest to this.
import type { Callable } from "@fastagentic/core/app/Fusion"
import { problemsOf } from "@fastagentic/core/base/Validation"
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import * as ClientTools from "@fastagentic/core/run/ClientTools"
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect, Predicate, Schema } from "effect"
import { BadBody } from "../http/Problem.ts"
import type { Decided } from "./ChatRuns.ts"

/** A tool as a request names it, before anything of it is checked. */
export interface Named {
  readonly name: unknown
  readonly description: unknown
  readonly parameters: unknown
}

/** The fields of a tool in a request. */
export const named = (value: unknown): Named => {
  const { description, name, parameters } = Predicate.isObject(value) ? { ...value } : {}
  return { name, description, parameters }
}

const decodeTool = Schema.decodeUnknownEffect(ClientTools.ClientTool)

const wrong = (detail: string) => Effect.fail(new BadBody({ detail }))

/** The message that keeps an offer with the run; nothing for agents that take none, and where nothing is offered. */
export const offerOf = Effect.fnUntraced(function*(
  { fusion }: Pick<Runtime["Service"], "fusion">,
  agent: Callable,
  { context, state, tools }: {
    readonly tools: ReadonlyArray<Named>
    readonly context?: Schema.Json | undefined
    readonly state?: Schema.Json | undefined
  }
): Effect.fn.Return<Schema.Json | undefined, BadBody> {
  if (!agent.clientTools) return undefined
  if (tools.length > ClientTools.limits.tools) {
    return yield* wrong(`tools: Expected at most ${ClientTools.limits.tools}`)
  }
  const own = new Map<string, ClientTools.ClientTool>()
  for (const [index, { description, name, parameters }] of tools.entries()) {
    const tool = yield* decodeTool({
      name,
      ...(description === undefined || description === null ? {} : { description }),
      parameters: parameters ?? {}
    }).pipe(Effect.catch((error) => {
      const [problem] = problemsOf(error)
      return wrong(["tools", index, ...problem?.path ?? []].join(".") + `: ${problem?.message ?? "Expected a tool"}`)
    }))
    const type = tool.parameters["type"]
    if (type !== undefined && type !== "object") return yield* wrong(`tools.${index}.parameters: Expected an object`)
    if (own.has(tool.name)) {
      return yield* wrong(`tools.${index}.name: Expected another name than that of a tool before it`)
    }
    if (fusion.tools.has(tool.name)) {
      return yield* wrong(`tools.${index}.name: Expected another name than that of a tool of the server`)
    }
    own.set(tool.name, tool)
  }
  if (own.size === 0 && isEmpty(context) && isEmpty(state)) return undefined
  const offer = ClientTools.toMessage({
    tools: [...own.values()],
    ...(context === undefined || isEmpty(context) ? {} : { context }),
    ...(state === undefined || isEmpty(state) ? {} : { state })
  })
  return JSON.stringify(offer).length > ClientTools.limits.characters
    ? yield* wrong(`tools, context and state: Expected at most ${ClientTools.limits.characters} characters of JSON`)
    : offer
})

const isEmpty = (value: Schema.Json | undefined) =>
  value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0)

/** The result that a client gives for a call; an error says why it has none. */
export interface Result {
  readonly toolCallId: string
  readonly value: Schema.Json
  readonly error?: string | undefined
}

/**
 * The decisions that results are: about the calls that wait, or all of them again for a request that is repeated. Other ids
 * are left out.
 */
export const answersOf = Effect.fnUntraced(function*(
  handle: Pick<RunHandle, "interrupts">,
  results: ReadonlyArray<Result>
): Effect.fn.Return<ReadonlyArray<Decided>, RunError> {
  if (results.length === 0) return []
  const calls = (yield* handle.interrupts).filter(ClientTools.isCall)
  // A model may name two calls alike: the newest result is that of the one that waits.
  const newest = new Map(results.map((result) => [result.toolCallId, result]))
  const matched = [...newest.values()].flatMap((result) => {
    const alike = calls.filter(({ toolCallId }) => toolCallId === result.toolCallId)
    const call = alike.find(({ state }) => state === "open") ?? alike.at(-1)
    return call === undefined ? [] : [{ call, result }]
  })
  const open = matched.filter(({ call }) => call.state === "open")
  return (open.length > 0 ? open : matched).map(({ call: { id }, result: { error, value } }) =>
    error === undefined ? { id, decision: "approve", value } : { id, decision: "deny", reason: error }
  )
})

/** The refusal of results that no run waits for. */
export const unknown = wrong("messages: Expected the result of a call that a run of this chat has made")
