/**
 * `fastagentic approvals`: lists open decisions of a running server, and takes them.
 *
 * @since 0.1.0
 */
import { App, Credentials, type Interrupt, VisibleText } from "@fastagentic/core"
import { Client } from "@fastagentic/protocols/http"
import { Config, Console, Effect, Option, Redacted, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"

/** The server refused the request or did not answer. @category errors @since 0.1.0 */
export class NotDecided extends Schema.TaggedError<NotDecided>()("NotDecided", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

const server = {
  url: Flag.String("url").pipe(
    Flag.withDescription("Where the server answers"),
    Flag.withFallbackConfig(Config.String("FASTAGENTIC_URL")),
    Flag.withDefault("http://127.0.0.1:8000")
  ),
  token: Flag.Redacted("token").pipe(
    Flag.withDescription("A token or API key; better given as FASTAGENTIC_TOKEN"),
    Flag.withFallbackConfig(Config.Redacted("FASTAGENTIC_TOKEN")),
    Flag.optional
  )
}

/** A client for any app: runs are addressed by their ids. */
const Anything = App.make("anything", { version: "0.0.0" })

const runsOf = ({ token, url }: { readonly token: Option.Option<Redacted.Redacted>; readonly url: string }) =>
  Effect.map(
    Client.make(Anything, {
      url,
      retries: 0,
      credentials: Option.match(token, {
        onNone: () => Credentials.none,
        onSome: (token) => ({ ...Credentials.none, bearer: Redacted.make(Redacted.value(token)) })
      })
    }),
    ({ runs }) => runs
  )

const said = <A, R>(url: string, effect: Effect.Effect<A, Client.ClientError, R>) =>
  Effect.mapError(
    effect,
    ({ message, reason }) =>
      new NotDecided({ problem: reason._tag === "Disconnected" ? `no answer from ${placeOf(url)}` : message })
  )

/** The URL without its password. */
const placeOf = (url: string) => URL.canParse(url) ? new URL(url).origin : "--url, which is no URL"

const list = Command.make(
  "list",
  server,
  Effect.fnUntraced(function*(options) {
    const runs = yield* runsOf(options)
    let after: string | null | undefined
    while (after !== null) {
      const page: { readonly items: ReadonlyArray<Interrupt.Summary>; readonly next: string | null } = yield* said(
        options.url,
        runs.pending(after === undefined ? {} : { after })
      )
      for (const one of page.items) yield* Console.log(VisibleText.escapeUnseen(lineOf(one)))
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
    ...(one.arguments === undefined ? [] : [JSON.stringify(one.arguments)]),
    ...(one.omitted === undefined ? [] : [`omitted=${one.omitted.join()}`])
  ].join(" ")

const subject = {
  ...server,
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

interface Subject {
  readonly url: string
  readonly token: Option.Option<Redacted.Redacted>
  readonly runId: string
  readonly id: string
  readonly reason: Option.Option<string>
}

const decide = Effect.fnUntraced(function*(
  { id, reason, runId, ...options }: Subject,
  decision: Interrupt.Answer["decision"],
  value: Option.Option<Schema.Json> = Option.none()
) {
  const runs = yield* runsOf(options)
  const run = yield* said(
    options.url,
    runs.answer(runId, id, {
      decision,
      ...(Option.isNone(value) ? {} : { value: value.value }),
      ...(Option.isNone(reason) ? {} : { reason: reason.value })
    })
  )
  yield* Console.log(`${run.runId} ${run.state}`)
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
