// Puts the parts of one server together: connection, pinned tools, questions, reads. McpRemote.layer makes it; nothing outlives
// the scope of the layer.
import * as ToolCall from "@fastagentic/core/hook/ToolCall"
import * as Content from "@fastagentic/core/run/Content"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { ToolDenied } from "@fastagentic/core/run/RunError"
import { type Context, Duration, Effect, PubSub, Random, Result, Schema, Stream } from "effect"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as HttpClient from "effect/http/HttpClient"
import { makeLog } from "../../adapter/internal/processLog.ts"
import { makeFetch } from "../../models/internal/transport.ts"
import type { ListName, Options, Remote } from "../McpRemote.ts"
import type { Definition } from "../RemoteDefinition.ts"
import { CallError, RemoteRefused, RemoteUnauthorized, ToolNamesCollide } from "../RemoteError.ts"
import * as Call from "./call.ts"
import { Calls } from "./calls.ts"
import * as Catalog from "./catalog.ts"
import * as Connection from "./connection.ts"
import { problemOf } from "./failure.ts"
import { library } from "./library.ts"
import { collisions, nameFor } from "./names.ts"
import * as Pinning from "./pins.ts"
import * as Questions from "./questions.ts"
import * as Reads from "./reads.ts"
import * as Tools from "./tools.ts"
import * as Transports from "./transports.ts"
import { makeCompile, validatorOf } from "./validator.ts"

const millisOf = (duration: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(duration))

/** A stream of changes may be open for so long without a word. */
const silent = "1 day"

export const make = Effect.fnUntraced(function*<R>(
  server: string,
  options: Options<R>,
  model: Context.Context<LanguageModel.LanguageModel> | undefined
) {
  const sdk = yield* library
  const http = yield* HttpClient.HttpClient
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const pins = yield* Pinning.make(server, options.pins)
  const { answerWithin = "10 minutes", maxResultSize = 2 ** 20, prefix = `${server}_`, timeout = "1 minute" } = options
  const compile = makeCompile(sdk)
  const calls = new Calls()
  const changed = yield* PubSub.sliding<ListName>(64)
  const auth = "url" in options ? yield* Effect.sync(() => options.auth?.open(sdk, options.url)) : undefined
  const plain = makeFetch(http, { firstByte: silent, idle: silent, total: silent })
  const fetch = auth?.fetch?.(plain) ?? plain
  const log = makeLog({ mcp: server }, fork)
  const onChanged = (list: ListName) => ({
    autoRefresh: false,
    onChanged: () => {
      if (list === "tools") catalog.invalidate()
      PubSub.publishUnsafe(changed, list)
    }
  })
  const answers: Questions.Answers = {
    server,
    calls,
    model,
    roots: options.roots ?? [],
    answerMillis: millisOf(answerWithin),
    allow: "url" in options ? options.egress?.allow ?? [] : []
  }
  const connection = yield* Connection.make({
    server,
    library: sdk,
    calls,
    open: () =>
      "url" in options ? Transports.http(sdk, { ...options, auth }, fetch) : Transports.childProcess(sdk, options, log),
    client: {
      capabilities: {
        elicitation: { form: { applyDefaults: true }, url: {} },
        roots: {},
        ...(model === undefined ? {} : { sampling: {} })
      },
      jsonSchemaValidator: validatorOf(compile),
      versionNegotiation: { mode: "auto" },
      listMaxPages: 20,
      listChanged: { tools: onChanged("tools"), resources: onChanged("resources"), prompts: onChanged("prompts") }
    },
    connectTimeout: options.connectTimeout ?? "30 seconds",
    timeout,
    prepare: (client) => Questions.register(client, answers),
    onMissed: () => catalog.invalidate()
  })
  const catalog: Catalog.Catalog = Catalog.make(connection, pins)
  const withPages = <A>(make: () => Promise<A>) => Questions.withPages(sdk, answers, make)
  const caller = { connection, compile, maxResultSize, timeout, withPages }
  const rulesOf = options.rules ?? ((): Tools.Rules => ({}))

  const handle: Tools.Handle = Effect.fnUntraced(function*({ definition, tool: { name: tool } }, args, progress) {
    const rules = rulesOf(definition)
    yield* catalog.check(definition).pipe(
      Effect.tapError((error) =>
        error._tag === "RemoteToolChanged"
          ? CurrentRun.use(({ tools }) => tools.refused(tool, new ToolDenied({ tool, reason: error.message })))
          : Effect.void
      )
    )
    const limit = rules === "hidden" ? undefined : rules.timeout
    return yield* Call.call({ ...caller, timeout: limit ?? timeout }, definition, args, progress)
  })

  const declare = (definition: Definition) => {
    const rules = rulesOf(definition)
    const fits = (given: unknown) =>
      Call.problemWith(caller, definition, Call.argumentsOf(caller, definition, given)) === undefined
    return rules === "hidden" ? [] : [Tools.declare(prefix, definition, rules, fits)]
  }

  const toolkit = Effect.gen(function*() {
    const pinned = yield* catalog.pinned
    const declared = Object.values(pinned).flatMap(({ definition }) => declare(definition))
    const names = collisions(
      declared.map(({ definition, tool }) => ({ name: tool.name, of: `"${definition.name}" of ${server}` }))
    )
    if (names.length > 0) return yield* new ToolNamesCollide({ names })
    return yield* Tools.bind(Tools.toolkitOf(declared), declared, handle)
  })

  const call = Effect.fnUntraced(function*(tool: string, args: Schema.Json = {}) {
    const kit = yield* toolkit
    const name = nameFor(prefix, tool)
    if (!Object.hasOwn(kit.tools, name)) {
      return yield* new RemoteRefused({ server, method: tool, problem: "it is not offered" })
    }
    const toolCallId = `${tool}_${((yield* Random.next) * 2 ** 52).toString(36)}`
    const outcome = yield* ToolCall.invoke(ToolCall.handlersOf(kit), { toolCallId, name, arguments: args }).pipe(
      Effect.catch((error) => Effect.fail(new ToolDenied({ tool: name, reason: String(error) })))
    )
    if (outcome.denied) return yield* new ToolDenied({ tool: name, reason: reasonOf(outcome.result) })
    if (outcome.isError) return yield* Effect.flatMap(Effect.orDie(decodeFailure(outcome.result)), Effect.fail)
    return yield* Effect.orDie(decodeContent(outcome.result))
  })

  const authorize = Effect.gen(function*() {
    const reached = yield* Effect.result(connection.ready)
    const address = yield* auth?.pending ?? Effect.undefined
    if (address !== undefined) return address
    return Result.isFailure(reached) ? yield* reached.failure : undefined
  })

  const authorized = (callback: URLSearchParams) =>
    Effect.matchEffect(auth?.finish?.(callback, fetch) ?? Effect.void, {
      onFailure: (error) =>
        Effect.fail(
          new RemoteUnauthorized({
            server,
            problem: error instanceof RemoteUnauthorized ? error.problem : problemOf(error)
          })
        ),
      onSuccess: () => Effect.sync(connection.reset)
    })

  const remote: Remote = {
    tools: Effect.map(catalog.pinned, (pinned) => Object.values(pinned).map(({ definition }) => definition)),
    toolkit,
    authorize,
    authorized,
    call,
    changes: catalog.changes,
    accept: (...tools) => catalog.accept(tools),
    listChanged: Stream.fromPubSub(changed),
    ...Reads.make(connection, maxResultSize)
  }
  handles.set(remote, handle)
  return remote
})

const handles = new WeakMap<Remote, Tools.Handle>()

/** The work behind the declared tools of a server; a stand-in that a test provides has its `call` alone. */
export const handleOf = (remote: Remote): Tools.Handle =>
  handles.get(remote) ??
    (({ definition: { name } }, args) =>
      remote.call(name, args as Schema.Json).pipe( // cast: the arguments of a call came as JSON.
        Effect.catchTag(
          ["PinsUnusable", "ToolNamesCollide", "ToolDenied"],
          (error) => Effect.fail(new RemoteRefused({ server: "", method: name, problem: error.message }))
        )
      ))

const decodeContent = Schema.decodeUnknownEffect(Schema.toCodecJson(Content.List))
const decodeFailure = Schema.decodeUnknownEffect(Schema.toCodecJson(CallError))
const Reason = Schema.Struct({ reason: Schema.String })
const reasonOf = (result: Schema.Json) => Schema.is(Reason)(result) ? result.reason : "denied"
