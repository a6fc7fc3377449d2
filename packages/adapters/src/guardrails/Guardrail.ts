/**
 * Puts a service that judges texts at the points of a hook: input, output, arguments and results of tools.
 *
 * @since 0.1.0
 */
import * as Hook from "@fastagentic/core/hook/Hook"
import type { Type } from "@fastagentic/core/run/Event"
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { HookBlocked } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { type Config, Context, Effect, Layer, Option, type Schema, Stream } from "effect"
import * as Egress from "../egress/Egress.ts"
import { userTexts, withUserTexts } from "./internal/prompts.ts"
import { textsIn, withTexts } from "./internal/texts.ts"
import { inWindows, type StreamPolicy } from "./internal/windows.ts"
import type { FromConfig, Judge, Place, Provider, Verdict } from "./Provider.ts"

export type { StreamPolicy }

/** @category options @since 0.1.0 */
export interface Options {
  /**
   * The places to judge at: `input` is the payload of a run, `prompt` what users say in the prompt of a model and it has not
   * answered yet, `output` everything that leaves the run.
   */
  readonly on: ReadonlyArray<Place>
  /** How streamed output is held back. Default: windows of 500 characters with an overlap of 100. */
  readonly stream?: StreamPolicy | undefined
  /** Addresses and networks of the service that are not public. */
  readonly allow?: ReadonlyArray<string> | undefined
}

/**
 * The layer of a hook that asks a service; without a service, when its variable is not set, the hook does nothing.
 *
 * **Details**
 *
 * The hook's `timeout` and `onFailure` decide what happens when the service does not judge: closed refuses, open lets pass;
 * both are in the journal. After five failures in a row the service is not asked for 30 seconds.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Identifier extends string>(
  hook: Hook.Hook<Identifier>,
  provider: Provider | FromConfig,
  options: Options
): Layer.Layer<Hook.Handler<Identifier>, Config.ConfigError | Egress.UnknownNetwork> =>
  hook.toLayer(Effect.gen(function*() {
    const found = Effect.isEffect(provider) ? Option.getOrUndefined(yield* provider) : provider
    return found === undefined ? {} : pointsOf(hook, found.name, yield* found.connect, options)
  })).pipe(Layer.provide(Egress.layer({ allow: options.allow })))

const pointsOf = (hook: Hook.Any, name: string, judge: Judge, options: Options): Hook.Points => {
  const on = new Set(options.on)
  const asked = makeAsked(hook, name, judge)
  return {
    ...(on.has("input") ? { request: atRequest(asked) } : {}),
    ...(on.has("prompt") ? { llm: atPrompt(asked) } : {}),
    ...(on.has("tool_arguments") || on.has("tool_result") ? { tool: atTool(asked, on) } : {}),
    ...(on.has("output")
      ? { output: atOutput(asked, on, options.stream ?? { every: 500, overlap: 100 }) }
      : {})
  }
}

interface Subject {
  readonly runId: string
  readonly agent: string
}

type Asked = (
  subject: Subject,
  point: Hook.Point,
  place: Place,
  texts: ReadonlyArray<string>
) => Effect.Effect<ReadonlyArray<string>, HookBlocked>

/** The verdicts that are remembered, of texts up to this length: an answer is the text that was said before. */
const mostKnown = 512
const longestKnown = 16_384

/** Gives the texts as they may pass; the same list when nothing was changed. */
const makeAsked = (hook: Hook.Any, name: string, judge: Judge): Asked => {
  const known = new Map<string, Verdict>()
  return (subject, point, place, texts) => {
    if (texts.length === 0) return Effect.succeed(texts)
    const key = JSON.stringify([subject.runId, place, texts])
    const recalled = known.get(key)
    const judged = recalled === undefined
      ? Tracing.within(
        Effect.tap(judge({ ...subject, place, texts }), (verdict) => {
          if (key.length <= longestKnown) known.set(key, verdict)
          if (known.size > mostKnown) {
            for (const first of known.keys()) return Effect.sync(() => known.delete(first))
          }
          return Tracing.note(() => ({ "fastagentic.guardrail.action": verdict.action }))
        }),
        `guardrail ${name}`,
        () => ({ attributes: { "fastagentic.guardrail.name": name, "fastagentic.guardrail.place": place } })
      )
      : Effect.succeed(recalled)
    return Effect.flatMap(
      // The hook decides about a service that does not judge, as about any hook that fails.
      Effect.orDie(judged),
      (verdict): Effect.Effect<ReadonlyArray<string>, HookBlocked> =>
        verdict.action === "block"
          ? Hook.block(hook, point, `${name}: ${verdict.reason}`)
          : Effect.succeed(verdict.action === "modify" ? verdict.texts : texts)
    )
  }
}

/** A JSON value as it may pass; the same value when nothing was changed. */
const valued = (
  asked: Asked,
  subject: Subject,
  point: Hook.Point,
  place: Place,
  value: Schema.Json
): Effect.Effect<Schema.Json, HookBlocked> => {
  const texts = textsIn(value)
  return Effect.map(
    asked(subject, point, place, texts),
    (passed) => passed === texts ? value : withTexts(value, passed)
  )
}

/** The payload of a tool that is called directly is judged as its arguments. */
const atRequest = (asked: Asked): NonNullable<Hook.Points["request"]> => (call, next) =>
  call.kind === "tool" ? next(call) : Effect.flatMap(
    valued(asked, call, "request", "input", call.payload),
    (payload) => next(payload === call.payload ? call : { ...call, payload })
  )

const atPrompt = (asked: Asked): NonNullable<Hook.Points["llm"]> => (call, next) =>
  Stream.unwrap(Effect.gen(function*() {
    const texts = userTexts(call.prompt)
    const passed = yield* asked(yield* currentSubject, "llm", "prompt", texts)
    return next(passed === texts ? call : { ...call, prompt: withUserTexts(call.prompt, passed) })
  }))

const atTool = (asked: Asked, on: ReadonlySet<Place>): NonNullable<Hook.Points["tool"]> => (call, next) =>
  Effect.gen(function*() {
    const subject = yield* currentSubject
    const given = on.has("tool_arguments")
      ? yield* valued(asked, subject, "tool", "tool_arguments", call.arguments)
      : call.arguments
    const outcome = yield* next(given === call.arguments ? call : { ...call, arguments: given })
    if (!on.has("tool_result")) return outcome
    const result = yield* valued(asked, subject, "tool", "tool_result", outcome.result)
    return result === outcome.result ? outcome : { ...outcome, result }
  })

/** The run that a call belongs to. */
const currentSubject: Effect.Effect<Subject> = Effect.contextWith((context: Context.Context<never>) => {
  const run = Context.getOption(context, CurrentRun)
  return Effect.succeed(
    Option.match(run, {
      onNone: () => ({ runId: "", agent: "" }),
      onSome: ({ record: { agent, runId } }) => ({ agent, runId })
    })
  )
})

/** Events with text for a reader. Calls and results of tools have places of their own. */
const said: ReadonlySet<Type> = new Set(["message", "content", "custom", "interrupt", "done"])

const atOutput = (asked: Asked, on: ReadonlySet<Place>, stream: StreamPolicy): Hook.Guard => ({
  remote: true,
  text: (text, call) => {
    if (call.type === "tool_call_delta" && !on.has("tool_arguments")) return Effect.succeed({ out: text, held: "" })
    const place = call.type === "tool_call_delta" ? "tool_arguments" : "output"
    return inWindows(
      stream,
      text,
      call.ended,
      (window) => Effect.map(asked(call, "output", place, [window]), ([passed]) => passed ?? window)
    )
  },
  value: (value, call) => said.has(call.type) ? valued(asked, call, "output", "output", value) : Effect.succeed(value)
})
