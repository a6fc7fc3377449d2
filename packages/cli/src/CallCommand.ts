/**
 * `fastagentic call <agent> '{json}'`: one run of an agent of a running server, and its answer.
 *
 * @since 0.1.0
 */
import { Console, Effect, Option, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { text } from "node:stream/consumers"
import * as Output from "./internal/output.ts"
import * as Lines from "./internal/remote/lines.ts"
import * as Server from "./internal/remote/server.ts"
import * as Session from "./internal/remote/session.ts"
import { Spoken } from "./internal/remote/spoken.ts"

/** The payload is no JSON object. @category errors @since 0.1.0 */
export class BadPayload extends Schema.TaggedError<BadPayload>()("BadPayload", {}) {
  override get message() {
    return "the payload is a JSON object such as '{\"question\":\"…\"}', or - to read one from stdin"
  }
}

const decode = Schema.decodeEffect(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json)))

/** @category commands @since 0.1.0 */
export const command = Command.make(
  "call",
  {
    ...Server.flags,
    json: Output.json,
    agent: Argument.String("agent"),
    payload: Argument.String("payload").pipe(
      Argument.withDescription("JSON, or - to read it from stdin; {} by default"),
      Argument.withDefault("{}")
    ),
    stream: Flag.Boolean("stream").pipe(
      Flag.withDescription("Print the words as they come; with --json all events"),
      Flag.withDefault(false)
    ),
    thread: Flag.String("thread").pipe(Flag.withDescription("The conversation that the run belongs to"), Flag.optional),
    idempotencyKey: Flag.String("idempotency-key").pipe(
      Flag.withDescription("Calls with the same key get the same run"),
      Flag.optional
    ),
    timeout: Flag.String("timeout").pipe(Flag.withDescription("How long the run may take, such as 30s"), Flag.optional),
    ask: Flag.Boolean("ask").pipe(
      Flag.withDescription("Answer questions of the run by lines of stdin"),
      Flag.withDefault(true)
    )
  },
  Effect.fnUntraced(function*({ agent, ask, idempotencyKey, json, payload, stream, thread, timeout, token, url }) {
    const fromStdin = payload === "-"
    const given = fromStdin ? yield* Effect.promise(() => text(process.stdin)) : payload
    const decoded = yield* Effect.mapError(decode(given), () => new BadPayload())
    const lines = ask && !fromStdin ? yield* Lines.make : Lines.none
    const spoken = new Spoken()
    const run = yield* Session.run({
      server: { token, url },
      agent,
      payload: decoded,
      call: {
        ...(Option.isNone(thread) ? {} : { threadId: thread.value }),
        ...(Option.isNone(idempotencyKey) ? {} : { idempotencyKey: idempotencyKey.value }),
        ...(Option.isNone(timeout) ? {} : { timeout: timeout.value })
      },
      show: (event) => {
        if (!stream) return Effect.void
        return json ? Output.print(true, event, String) : spoken.add(event)
      },
      ask: lines.next
    }).pipe(Effect.ensuring(Effect.suspend(() => spoken.endLine())))
    if (json && !stream) yield* Output.print(true, run, String)
    if (run.state !== "completed") return yield* Session.failureOf(run)
    if (!json && !spoken.hasWords) yield* Console.log(Output.safe(Output.textOf(run.output)))
  }, Effect.scoped)
).pipe(
  Command.withDescription("Run an agent of a running server and print its answer; exit code 1 when it fails"),
  Command.provide(FetchHttpClient.layer)
)
