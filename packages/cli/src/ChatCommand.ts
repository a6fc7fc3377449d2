/**
 * `fastagentic chat <agent>`: a conversation with an agent of a running server, in a terminal or through a pipe.
 *
 * @since 0.1.0
 */
import { Console, Effect, Option, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Output from "./internal/output.ts"
import * as Catalog from "./internal/remote/catalog.ts"
import * as Lines from "./internal/remote/lines.ts"
import * as Server from "./internal/remote/server.ts"
import * as Session from "./internal/remote/session.ts"
import { Spoken } from "./internal/remote/spoken.ts"

/** @category commands @since 0.1.0 */
export const command = Command.make(
  "chat",
  {
    ...Server.flags,
    json: Output.json,
    agent: Argument.String("agent"),
    thread: Flag.String("thread").pipe(
      Flag.withDescription("The conversation to continue; a new one by default"),
      Flag.optional
    ),
    payload: Flag.String("payload").pipe(
      Flag.withSchema(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Json))),
      Flag.withDescription("JSON: further fields of the payload of each message"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ agent, json, payload, thread, token, url }) {
    const server = { token, url }
    const { field, requires, takes } = yield* Catalog.chatOf(server, agent)
    const rest = Option.getOrElse(payload, (): Session.Payload => ({}))
    const missing = requires.filter((name) => !(name in rest))
    if (missing.length > 0) {
      return yield* new Server.NotDone({
        problem: `"${agent}" also takes ${missing.join(", ")}: give them in --payload`
      })
    }
    const threadId = Option.getOrElse(thread, () => globalThis.crypto.randomUUID())
    yield* Console.error(`thread ${threadId}`)
    const lines = yield* Lines.make
    let failed: Session.RunEnded | undefined
    while (true) {
      const line = yield* lines.next("> ")
      if (line === undefined) break
      if (line.trim() === "") continue
      const spoken = new Spoken()
      const run = yield* Session.run({
        server,
        agent,
        payload: { ...rest, [field]: takes === "text" ? line : [{ type: "text", text: line }] },
        call: { threadId },
        show: (event) => json ? Output.print(true, event, String) : spoken.add(event),
        ask: (prompt) => Effect.andThen(spoken.endLine(), lines.next(prompt))
      }).pipe(Effect.ensuring(Effect.suspend(() => spoken.endLine())))
      if (run.state !== "completed") {
        failed = Session.failureOf(run)
        yield* Console.error(`fastagentic: ${Output.safe(failed.message)}`)
      } else if (!json && !spoken.hasWords) yield* Console.log(Output.safe(Output.textOf(run.output)))
    }
    // A script learns from the exit code that one of its messages has no answer.
    if (failed !== undefined && !process.stdin.isTTY) return yield* failed
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Talk to an agent of a running server, one line a message; its questions are asked in between"
  ),
  Command.provide(FetchHttpClient.layer)
)
