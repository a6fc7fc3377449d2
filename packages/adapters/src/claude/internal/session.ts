// One query of a session of Claude Code, as a step of the run: its events go into the journal as they arrive, and a call that
// a human has to decide about ends it. ClaudeAgents.ts makes one after the other.
import { Run } from "@fastagentic/core"
import { Effect, Option, Predicate, Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as FrameworkRun from "../../adapter/FrameworkRun.ts"
import { toJson } from "../../adapter/Json.ts"
import { QueryFailed } from "../ClaudeError.ts"
import * as Answers from "./answers.ts"
import * as Process from "./process.ts"
import * as Tools from "./tools.ts"
import * as Transcripts from "./transcript.ts"
import { decodeMessage, decodeToolUse, Deferred, type Result } from "./wire.ts"

/** The function `query` of the SDK. */
export type Query<Options> = (asked: { prompt: string; options?: Options }) => AsyncIterable<unknown>

/** The end of one query, as its step stores it. */
export const Ended = Schema.Struct({
  sessionId: Schema.String,
  text: Schema.String,
  structured: Schema.optionalKey(Schema.Json),
  costUsd: Schema.optionalKey(Schema.Finite),
  /** The call that waits for a human, with the transcript that the next query resumes. */
  deferred: Schema.optionalKey(Deferred),
  transcript: Transcripts.Transcript
})

export type Ended = typeof Ended.Type

export interface Asked {
  readonly prompt: string
  readonly resume: string | undefined
  readonly transcript: Transcripts.Transcript
  readonly tools: Tools.Options
}

type Fields = { readonly [name: string]: unknown }

const fieldsOf = (value: unknown): Fields => Predicate.isObject(value) ? { ...value } : {}

const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/** The environment of the server without its keys and its store, which are not the agent's. */
const environment = (given: unknown, folder: string) => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("FASTAGENTIC_"))),
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  CLAUDE_CONFIG_DIR: folder,
  ...fieldsOf(given)
})

/** The text of a result whose content is text only; any other stays as it is. */
const resultOf = (response: Schema.Json | undefined): Schema.Json => {
  const texts = listOf(response).map((one) => Predicate.hasProperty(one, "text") ? one.text : undefined)
  return texts.length > 0 && texts.every(Predicate.isString) ? texts.join("") : response ?? null
}

/** A result in the form of the tool's response: that of MCP is a list of contents. */
const outputOf = (result: Schema.Json, response: Schema.Json | undefined): Schema.Json =>
  Array.isArray(response)
    ? [{ type: "text", text: typeof result === "string" ? result : JSON.stringify(result) }]
    : result

/** Hooks answer after a day at most: what they wait for has deadlines of its own. */
const timeout = 86_400

export const exchange = <Options extends object>(
  query: Query<Options>,
  optionsOf: (signal: AbortSignal) => Options | undefined,
  asked: Asked
) =>
  Effect.scoped(Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "fastagentic-claude-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const tools = yield* Tools.make(asked.tools)
    const transcript = Transcripts.make(asked.transcript)
    const { decision } = asked.tools
    const answers = Answers.make(new Set(decision === undefined ? [] : [decision.toolCallId]))
    return yield* FrameworkRun.within(async ({ promise, signal }) => {
      const controller = new AbortController()
      const own = fieldsOf(optionsOf(signal))
      const { stderr } = own
      const { end, spawn } = Process.make((text) => {
        if (Predicate.isFunction(stderr)) stderr(text)
      })
      signal.addEventListener("abort", () => {
        end()
        controller.abort(signal.reason)
      }, { once: true })

      const before = async (input: unknown) => {
        const use = Option.getOrUndefined(decodeToolUse(input))
        if (use === undefined) return {}
        const call = { toolCallId: use.tool_use_id, name: use.tool_name, arguments: use.tool_input }
        const said = answers.call(call.toolCallId, call.name, call.arguments)
        const verdict = await promise(
          Effect.andThen(Effect.forEach(said, Run.emit, { discard: true }), tools.before(call))
        )
        return { hookSpecificOutput: { hookEventName: "PreToolUse", ...verdict } }
      }
      const after = async (input: unknown) => {
        const use = Option.getOrUndefined(decodeToolUse(input))
        if (use === undefined) return {}
        const outcome = { result: resultOf(use.tool_response), isError: false }
        const changed = await promise(tools.after(use.tool_use_id, outcome))
        if (changed === undefined) return {}
        const updatedToolOutput = outputOf(changed.result, use.tool_response)
        return { hookSpecificOutput: { hookEventName: "PostToolUse", updatedToolOutput } }
      }
      const failed = async (input: unknown) => {
        const use = Option.getOrUndefined(decodeToolUse(input))
        // The model reads the error; its text may hold what no caller should read.
        if (use !== undefined) await promise(tools.after(use.tool_use_id, { result: "the tool failed", isError: true }))
        return {}
      }

      const hooks = fieldsOf(own["hooks"])
      const added = { PreToolUse: before, PostToolUse: after, PostToolUseFailure: failed }
      const options = {
        canUseTool: async () => ({ behavior: "deny", message: "Nobody can give the permission for this call." }),
        settingSources: [],
        sessionStore: transcript.store,
        sessionStoreFlush: "eager",
        spawnClaudeCodeProcess: spawn,
        ...own,
        ...(asked.resume === undefined ? {} : { resume: asked.resume }),
        abortController: controller,
        includePartialMessages: true,
        env: environment(own["env"], folder),
        hooks: {
          ...hooks,
          ...Object.fromEntries(
            Object.entries(added).map(([name, hook]) => [name, [...listOf(hooks[name]), { hooks: [hook], timeout }]])
          )
        }
      }
      let last: Result | undefined
      try {
        // cast: these are the options of the app, with those of the adapter.
        for await (const message of query({ prompt: asked.prompt, options: options as Options & typeof options })) {
          const known = Option.getOrUndefined(decodeMessage(message))
          if (known?.type === "result") last = known
          else if (known !== undefined) {
            const events = answers.events(known.event, known.parent_tool_use_id ?? "")
            if (events.length > 0) await promise(Effect.forEach(events, Run.emit, { discard: true }))
          }
        }
      } catch (error) {
        // The SDK throws after a result that is an error.
        if (last?.is_error !== true) throw error
      }
      if (!signal.aborted) await promise(tools.rest)
      return endOf(last, transcript.content())
    })
  }))

const endOf = (last: Result | undefined, transcript: Transcripts.Transcript): Ended => {
  if (last === undefined) throw new QueryFailed({ kind: "nothing", reason: "Claude Code sent no result" })
  const { api_error_status: status, deferred_tool_use: deferred, subtype, terminal_reason: ended } = last
  const isDeferred = deferred !== undefined && ended === "tool_deferred"
  if (!isDeferred && (subtype !== "success" || last.is_error === true || deferred !== undefined)) {
    throw new QueryFailed({
      kind: ended ?? subtype,
      reason: last.result ?? subtype,
      ...(typeof status === "number" ? { status } : {})
    })
  }
  return {
    sessionId: last.session_id,
    text: last.result ?? "",
    ...(last.structured_output === undefined ? {} : { structured: toJson(last.structured_output) }),
    ...(last.total_cost_usd === undefined ? {} : { costUsd: last.total_cost_usd }),
    ...(isDeferred ? { deferred } : {}),
    transcript: isDeferred ? transcript : []
  }
}
