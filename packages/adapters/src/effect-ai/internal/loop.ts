// The turns of a model loop: asks the model, makes the calls of its message, and lets final.ts decide what follows.
// ModelLoop.run calls it inside the place of the loop; a thread is read before the first turn and written after the last.
import { Thread } from "@fastagentic/core"
import { TurnLimitReached } from "@fastagentic/core/run/ModelEnd"
import { Effect } from "effect"
import * as Prompt from "effect/ai/Prompt"
import type * as Tool from "effect/ai/Tool"
import { OutputMode } from "../../adapter/OutputMode.ts"
import type { Options, Result, ToolResult } from "../ModelLoop.ts"
import type { Answer, AnyTools } from "./answer.ts"
import { withClientTools } from "./clientTools.ts"
import type { Counted } from "./contextLimit.ts"
import { endOf } from "./ends.ts"
import { type Final, plain, structured } from "./final.ts"
import { askModel, type Calling } from "./modelCall.ts"
import * as Node from "./node.ts"
import type { AnySchema } from "./output.ts"
import { toMessages, toPrompt } from "./threadPrompt.ts"
import { makeCalls } from "./turn.ts"
import { withNotice } from "./untrusted.ts"
import { totalOf } from "./usage.ts"

export const untilAnswered = Effect.fnUntraced(
  function*<Tools extends Record<string, Tool.Any>, E, R, P, S extends AnySchema>(
    options: Options<Tools, E, R, P, S>
  ) {
    // cast: names and parameters of calls come from a model; the toolkit itself checks them.
    const toolkit = yield* withClientTools((yield* options.toolkit) as unknown as AnyTools)
    const final = options.output === undefined ? plain(toolkit) : structured(options.output, yield* OutputMode, toolkit)
    const maxTurns = options.maxTurns ?? 16
    const answers: Array<Answer> = []
    const toolResults: Array<ToolResult> = []
    const history = options.thread === undefined ? [] : yield* historyOf(options.thread)
    const first = promptOf(options, toolkit, history)
    const head = headOf(first)
    let conversation: Conversation = { prompt: first, counted: undefined, history: history.length }
    let shrinks = isSummarized(options.thread)
    for (let number = 1;; number++) {
      const isLast = number >= maxTurns
      const call = { nodeId: `turn_${number}`, name: `turn ${number}`, kind: "turn" } as const
      const take = Effect.suspend(() => takeTurn({ conversation, toolkit, final, isLast, maxTurns, options, shrinks }))
      const { answer, prompt, results } = yield* Node.within(
        call,
        Effect.gen(function*() {
          const taken = yield* take
          if (taken.answer.end !== "exceeded" || options.thread === undefined) return taken
          shrinks = false
          conversation = yield* shorter(options.thread, conversation, head)
          return yield* take
        })
      )
      answers.push(answer)
      toolResults.push(...results)
      const next = yield* final.after(answer, prompt, isLast)
      if (next._tag === "Done") {
        if (options.thread !== undefined) {
          yield* Thread.add(...toMessages(prompt.content.slice(head + conversation.history)))
        }
        return resultOf(answers, toolResults, answer, next.output)
      }
      conversation = { ...conversation, prompt: next.prompt, counted: countedBy(conversation, answer) }
    }
  }
)

/** The messages so far, how many of them are the thread's, and how many tokens of them the provider has counted. */
interface Conversation {
  readonly prompt: Prompt.Prompt
  readonly counted: Counted | undefined
  readonly history: number
}

const countedBy = ({ prompt }: Conversation, { counted, said }: Answer): Counted | undefined =>
  counted === undefined ? undefined : { tokens: counted, messages: prompt.content.length + said.content.length }

const takeTurn = Effect.fnUntraced(function*<R, P>(
  { conversation: { counted, history, prompt }, final, isLast, maxTurns, options, shrinks, toolkit }: {
    readonly conversation: Conversation
    readonly toolkit: AnyTools
    readonly final: Final
    readonly isLast: boolean
    readonly maxTurns: number
    readonly options: Calling<R, P>
    readonly shrinks: boolean
  }
) {
  const answer = yield* askModel({ ...final.ask(prompt), counted, shrinks: shrinks && history > 1 }, options)
  if (answer.end === "exceeded") return { answer, results: [], prompt }
  yield* endOf(answer)
  const isPending = answer.calls.some((call) => final.judge(call) === undefined)
  if (isPending && isLast) return yield* new TurnLimitReached({ maxTurns })
  const said = Prompt.concat(prompt, answer.said)
  const { messages, results } = yield* makeCalls(toolkit, answer.calls, said.content, final.judge)
  return { answer, results, prompt: Prompt.fromMessages([...said.content, ...messages]) }
})

const isSummarized = <E, R>(thread: true | Thread.Options<E, R> | undefined) =>
  thread !== undefined && thread !== true && thread.summarize !== undefined

/** The conversation with half of its history and a summary of the rest: the limits of a thread count no tokens. */
const shorter = Effect.fnUntraced(function*<E, R>(
  thread: true | Thread.Options<E, R>,
  { history, prompt }: Conversation,
  head: number
) {
  const before = prompt.content.slice(head, head + history)
  const limits = { last: Math.floor(history / 2), maxBytes: Math.floor(JSON.stringify(before).length / 2) }
  const read = yield* toPrompt(yield* Thread.messages(thread === true ? limits : { ...thread, ...limits }))
  const content = [...prompt.content.slice(0, head), ...read, ...prompt.content.slice(head + history)]
  return { prompt: Prompt.fromMessages(content), counted: undefined, history: read.length }
})

/** The history as a model reads it. An agent that cannot add to its thread is refused before it asks a model. */
const historyOf = Effect.fnUntraced(function*<E, R>(options: true | Thread.Options<E, R>) {
  yield* Thread.add()
  return yield* toPrompt(yield* Thread.messages(options === true ? {} : options))
})

/** The history stands behind the system messages of the prompt and before the rest of it. */
const promptOf = (
  { prompt, system }: { readonly prompt: Prompt.RawInput; readonly system?: string },
  { tools }: AnyTools,
  history: ReadonlyArray<Prompt.Message>
) => {
  const made = Prompt.make(prompt)
  const own = system === undefined ? made : Prompt.setSystem(made, system)
  const base = Object.keys(tools).length === 0 ? own : withNotice(own)
  if (history.length === 0) return base
  const head = headOf(base)
  return Prompt.fromMessages([...base.content.slice(0, head), ...history, ...base.content.slice(head)])
}

/** How many system messages a prompt begins with. */
const headOf = ({ content }: Prompt.Prompt) => {
  const first = content.findIndex(({ role }) => role !== "system")
  return first === -1 ? content.length : first
}

const resultOf = (
  answers: ReadonlyArray<Answer>,
  toolResults: ReadonlyArray<ToolResult>,
  last: Answer,
  output: unknown
): Result<unknown> => ({
  output,
  text: answers.map(({ text }) => text).join(""),
  turns: answers.length,
  toolResults,
  usage: totalOf(answers.map(({ usage }) => usage)),
  finishReason: last.finishReason
})
