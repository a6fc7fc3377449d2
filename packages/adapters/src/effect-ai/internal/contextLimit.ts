// Refuses a prompt that the model cannot read, before it is sent and paid for. requests.ts asks it for each request. The count
// is the provider's for the messages that it has seen, and an estimate that is never too high for the rest.
import { Run } from "@fastagentic/core"
import { ContextExceeded } from "@fastagentic/core/run/ModelEnd"
import { Effect } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import * as Tokens from "../../adapter/Tokens.ts"

/** The tokens of the first messages of a prompt, as the provider has counted them. */
export interface Counted {
  readonly tokens: number
  readonly messages: number
}

/** Dies with `ContextExceeded`, as a refusal of a budget does: no hook and no other attempt makes the prompt shorter. */
export const checkContext = Effect.fnUntraced(function*(
  model: { readonly model: string; readonly provider?: string | undefined },
  prompt: Prompt.Prompt,
  tools: ReadonlyArray<unknown>,
  counted: Counted | undefined
) {
  const run = yield* Run.CurrentRun
  const contextWindow = yield* run.contextWindow(model)
  if (contextWindow === undefined) return
  const known = counted === undefined || counted.messages > prompt.content.length ? undefined : counted
  const isEstimate = known === undefined || known.tokens <= contextWindow
  const inputTokens = isEstimate ? countOf(prompt, tools, known) : known.tokens
  if (inputTokens <= contextWindow) return
  return yield* Effect.die(new ContextExceeded({ model: model.model, contextWindow, inputTokens, isEstimate }))
})

const countOf = (prompt: Prompt.Prompt, tools: ReadonlyArray<unknown>, known: Counted | undefined) =>
  known === undefined
    ? Tokens.fewest(prompt.content, tools)
    : known.tokens + Tokens.fewest(prompt.content.slice(known.messages))
