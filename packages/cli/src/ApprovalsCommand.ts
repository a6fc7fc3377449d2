/**
 * `fastagentic approvals`: lists open decisions of a running server, and takes them.
 *
 * @since 0.1.0
 */
import type { Interrupt } from "@fastagentic/core"
import { Effect, Option, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Output from "./internal/output.ts"
import * as Server from "./internal/remote/server.ts"

const list = Command.make(
  "list",
  { ...Server.flags, json: Output.json },
  Effect.fnUntraced(function*({ json, ...server }) {
    const runs = yield* Server.runsOf(server)
    let after: string | null | undefined
    while (after !== null) {
      const page: { readonly items: ReadonlyArray<Interrupt.Summary>; readonly next: string | null } = yield* Server
        .orRefused(server, runs.pending(after === undefined ? {} : { after }))
      for (const one of page.items) yield* Output.print(json, one, lineOf)
      after = page.next
    }
  })
).pipe(Command.withDescription("List what you may decide: run, interrupt, what is asked"))

const lineOf = (one: Interrupt.Summary) =>
  [
    one.runId,
    one.id,
    one.tool ?? one.name,
    ...(one.risk === undefined ? [] : [`risk=${one.risk}`]),
    ...(one.rule === undefined ? [] : [`rule=${JSON.stringify(one.rule)}`]),
    ...(one.expiresAt === undefined ? [] : [`expires=${new Date(one.expiresAt).toISOString()}`]),
    ...(one.message === undefined ? [] : [JSON.stringify(one.message)]),
    ...(one.url === undefined ? [] : [one.url]),
    ...(one.arguments === undefined ? [] : [JSON.stringify(one.arguments)]),
    ...(one.omitted === undefined ? [] : [`omitted=${one.omitted.join()}`])
  ].join(" ")

const subject = {
  ...Server.flags,
  json: Output.json,
  runId: Argument.String("runId"),
  id: Argument.String("interrupt"),
  reason: Flag.String("reason").pipe(
    Flag.withDescription("A reason, recorded by the run and the audit log"),
    Flag.optional
  )
}

const value = Flag.String("value").pipe(
  Flag.withSchema(Schema.fromJsonString(Schema.Json)),
  Flag.withDescription("JSON: the answer to a question, or the changed arguments of a tool's call")
)

interface Subject extends Server.Server {
  readonly json: boolean
  readonly runId: string
  readonly id: string
  readonly reason: Option.Option<string>
}

const decide = Effect.fnUntraced(function*(
  { id, json, reason, runId, ...server }: Subject,
  decision: Interrupt.Answer["decision"],
  value: Option.Option<Schema.Json> = Option.none()
) {
  const runs = yield* Server.runsOf(server)
  const run = yield* Server.orRefused(
    server,
    runs.answer(runId, id, {
      decision,
      ...(Option.isNone(value) ? {} : { value: value.value }),
      ...(Option.isNone(reason) ? {} : { reason: reason.value })
    })
  )
  yield* Output.print(json, run, ({ runId, state }) => `${runId} ${state}`)
})

const approve = Command.make(
  "approve",
  { ...subject, value: Flag.optional(value) },
  ({ value, ...options }) => decide(options, "approve", value)
).pipe(Command.withDescription("Say yes, or answer with a value"))

const edit = Command.make(
  "edit",
  { ...subject, value },
  ({ value, ...options }) => decide(options, "edit", Option.some(value))
).pipe(Command.withDescription("Say yes to a tool's call with other arguments"))

const deny = Command.make("deny", subject, (options) => decide(options, "deny")).pipe(
  Command.withDescription("Say no")
)

/** @category commands @since 0.1.0 */
export const command = Command.make("approvals").pipe(
  Command.withDescription("What waits for a decision on a running server, and deciding it"),
  Command.withSubcommands([list, approve, edit, deny]),
  Command.provide(FetchHttpClient.layer)
)
