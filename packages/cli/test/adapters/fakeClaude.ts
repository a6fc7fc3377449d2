// A stand-in for `query` of the Claude Agent SDK, which performs a play: its messages, hooks and transcripts are those that
// the SDK was seen to have. ClaudeAgents.trials.ts performs the same plays with the SDK and its process.
import type { Play, Turn } from "../../src/adapter-contract.ts"

type Json = Record<string, unknown>
type Hook = (input: Json) => Promise<Json>

interface Options {
  readonly abortController?: AbortController
  readonly hooks?: Record<string, ReadonlyArray<{ readonly hooks: ReadonlyArray<Hook> }>>
  readonly resume?: string
  readonly sessionStore?: {
    readonly append: (key: Json, entries: ReadonlyArray<unknown>) => Promise<void>
    readonly load: (key: Json) => Promise<ReadonlyArray<unknown> | null>
  }
}

/** A message of the conversation as the transcript keeps it. */
interface Entry {
  readonly role: "user" | "assistant" | "tool"
  readonly content: unknown
}

const wordsOf = (question: string, error: unknown) =>
  question.includes("tooLong")
    ? { words: "Prompt is too long · the request is ~203456 tokens (limit 200000)", ended: "prompt_too_long" }
    : { words: `API Error: 503 ${String(error)}`, ended: "api_error", status: 503 }

/** The events of an answer, as the Messages API streams them. */
const streamed = function*({ calls, texts, usage }: Turn, id: string) {
  yield { type: "message_start", message: { id, model: "play-1", usage: { input_tokens: usage.inputTokens } } }
  yield { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }
  for (const text of texts) yield { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }
  yield { type: "content_block_stop", index: 0 }
  for (const [at, call] of calls.entries()) {
    const index = at + 1
    yield { type: "content_block_start", index, content_block: { type: "tool_use", id: call.id, name: call.name } }
    const partial_json = JSON.stringify(call.args)
    yield { type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json } }
    yield { type: "content_block_stop", index }
  }
  const stop_reason = calls.length > 0 ? "tool_use" : "end_turn"
  yield { type: "message_delta", delta: { stop_reason }, usage: { output_tokens: usage.outputTokens } }
  yield { type: "message_stop" }
}

/** `query` for a play. */
export const fakeQuery = (play: Play) =>
  async function*({ options = {}, prompt }: { prompt: string; options?: Options }) {
    const signal = options.abortController?.signal ?? new AbortController().signal
    const session_id = options.resume ?? globalThis.crypto.randomUUID()
    const key = { projectKey: "play", sessionId: session_id }
    const loaded = options.resume === undefined ? undefined : await options.sessionStore?.load(key)
    // cast: these are the entries that this function has appended.
    const entries: Array<Entry> = [...(loaded ?? []) as Array<Entry>]
    const add = async (entry: Entry) => {
      entries.push(entry)
      await options.sessionStore?.append(key, [entry])
    }
    const ask = async (name: string, input: Json): Promise<Json> => {
      const hooks = (options.hooks?.[name] ?? []).flatMap(({ hooks }) => hooks)
      const answers = await Promise.all(hooks.map((hook) => hook(input)))
      return Object.assign({}, ...answers.map(({ hookSpecificOutput }) => hookSpecificOutput ?? {}))
    }
    const ended = (more: Json) => ({ type: "result", subtype: "success", is_error: false, session_id, ...more })

    /** Makes the calls of an answer; gives the one that waits for a human. */
    const makes = async (calls: Turn["calls"]) => {
      for (const { args, id, name } of calls) {
        const use = { tool_name: name, tool_input: args, tool_use_id: id }
        const verdict = await ask("PreToolUse", use)
        if (verdict["permissionDecision"] === "defer") return { id, name, input: args }
        if (verdict["permissionDecision"] === "deny") {
          await add({ role: "tool", content: verdict["permissionDecisionReason"] })
          continue
        }
        // cast: the play's tools take what the play gives them.
        const given = (verdict["updatedInput"] ?? args) as { readonly order: number }
        const text = await play.work(name, given, signal)
        const said = await ask("PostToolUse", { ...use, tool_response: [{ type: "text", text }] })
        await add({ role: "tool", content: said["updatedToolOutput"] ?? text })
      }
      return undefined
    }

    if (options.resume === undefined) await add({ role: "user", content: prompt })
    const answer = entries.at(-1)
    // cast: the content of an answer is what was added for it.
    let last: Turn["calls"] = answer?.role === "assistant" ? (answer.content as Turn).calls : []
    for (;;) {
      const deferred_tool_use = await makes(last)
      if (deferred_tool_use !== undefined) {
        yield ended({ result: "", stop_reason: "tool_deferred", terminal_reason: "tool_deferred", deferred_tool_use })
        return
      }
      const answers = entries.filter(({ role }) => role === "assistant").length
      let turn: Turn
      try {
        turn = await play.answer(answers, JSON.stringify(entries), signal)
      } catch (error) {
        const { ended: terminal_reason, status, words } = { status: null, ...wordsOf(JSON.stringify(entries), error) }
        yield ended({ is_error: true, result: words, terminal_reason, api_error_status: status })
        throw new Error(`Claude Code returned an error result: ${words}`)
      }
      await add({ role: "assistant", content: turn })
      const id = globalThis.crypto.randomUUID()
      for (const event of streamed(turn, id)) {
        yield { type: "stream_event", event, parent_tool_use_id: null, session_id }
      }
      if (turn.calls.length === 0) {
        yield ended({ result: turn.texts.join(""), terminal_reason: "completed", total_cost_usd: 0.01 })
        return
      }
      last = turn.calls
    }
  }
