// One call of a remote tool inside the step of its run: checked against the pinned definition before and after, cancelled with
// its run, and made once where the server does not say that it may be repeated. tools.ts makes it the handler of a tool.
import * as Content from "@fastagentic/core/run/Content"
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { Client, Progress } from "@modelcontextprotocol/client"
import { Duration, Effect, Predicate, Schedule } from "effect"
import * as FrameworkRun from "../../adapter/FrameworkRun.ts"
import type { Definition } from "../RemoteDefinition.ts"
import {
  type CallError,
  RemoteArgumentsInvalid,
  RemoteLost,
  RemoteResultInvalid,
  RemoteTimedOut,
  RemoteToolFailed
} from "../RemoteError.ts"
import { Clock } from "./calls.ts"
import type { Connection } from "./connection.ts"
import * as McpContent from "./content.ts"
import { problemOf } from "./failure.ts"
import type { makeCompile } from "./validator.ts"

export interface Caller {
  readonly connection: Connection
  readonly compile: ReturnType<typeof makeCompile>
  readonly timeout: Duration.Input
  readonly maxResultSize: number
  /** Answers what the server asks for before it carries a call out. */
  readonly withPages: <A>(make: () => Promise<A>) => Promise<A>
}

/** The arguments without the optional ones that a model has given as null although the schema does not allow that. */
export const argumentsOf = (caller: Caller, definition: Definition, args: unknown): unknown => {
  if (!Predicate.isObject(args) || problemWith(caller, definition, args) === undefined) return args
  const given = Object.fromEntries(Object.entries(args).filter(([, value]) => value !== null))
  return problemWith(caller, definition, given) === undefined ? given : args
}

/** The problem of arguments with the pinned schema; nothing when they fit. */
export const problemWith = ({ compile }: Caller, { inputSchema }: Definition, args: unknown): string | undefined => {
  try {
    const { problem = "they do not fit", valid } = compile(inputSchema)(args)
    return valid ? undefined : problem.slice(0, 1_000)
  } catch (error) {
    return `its schema cannot be used (${problemOf(error)})`
  }
}

export const isRepeatable = ({ annotations = {} }: Definition): boolean =>
  annotations.readOnlyHint === true || annotations.idempotentHint === true

/** Calls a tool. */
export const call = Effect.fnUntraced(function*(
  caller: Caller,
  definition: Definition,
  given: unknown,
  progress: (content: Content.List) => void
): Effect.fn.Return<Content.List, CallError, CurrentRun> {
  const { connection, maxResultSize } = caller
  const { server } = connection
  const tool = definition.name
  const args = argumentsOf(caller, definition, given)
  const problem = problemWith(caller, definition, args)
  if (problem !== undefined) return yield* new RemoteArgumentsInvalid({ server, tool, problem })
  if (!isRepeatable(definition)) yield* once(server, tool)
  const result = yield* send(caller, definition, args, progress).pipe(
    Effect.retry({
      times: 2,
      schedule: Schedule.exponential("500 millis"),
      while: (error) => error._tag === "RemoteLost" && isRepeatable(definition)
    })
  )
  const size = JSON.stringify(result).length
  if (size > maxResultSize) {
    const tooLarge = `it has ${size} characters, and at most ${maxResultSize} are taken`
    return yield* new RemoteResultInvalid({ server, method: tool, problem: tooLarge })
  }
  const content = McpContent.ofResult(result)
  return result.isError === true ? yield* new RemoteToolFailed({ server, tool, content }) : content
})

/**
 * A call that has begun in an earlier attempt of the run, or in the run that this one continues, and has no result, may have
 * been carried out. It is not made again, unless it had rested for an answer to a question of its server.
 */
const once = Effect.fnUntraced(function*(server: string, tool: string) {
  const run = yield* CurrentRun
  const { attempt, runId } = run.record
  // A retry and a fork have the steps of their run, and count their attempts anew.
  const now = `${runId} ${attempt}`
  const begun = yield* run.step(`${tool} begins`, Effect.succeed(now))
  if (begun === now || run.isRecorded(`${tool} asks`)) return
  return yield* new RemoteLost({ server, method: tool, problem: "the attempt that made the call has ended" })
})

const send = (
  { connection: { calls, server, use }, timeout, withPages }: Caller,
  definition: Definition,
  args: unknown,
  progress: (content: Content.List) => void
) =>
  Effect.flatMap(CurrentRun, ({ idempotencyKey: key, record: { runId } }) => {
    const millis = Duration.toMillis(Duration.fromInputUnsafe(timeout))
    const about = { server, method: definition.name }
    return use(about, (client) =>
      Effect.suspend(() => {
        const clock = new Clock(millis)
        return FrameworkRun.within((framework) =>
          calls.during(
            { runId, tool: definition.name, framework, clock },
            () =>
              withPages(() =>
                requestOf(client, definition, args, {
                  signal: AbortSignal.any([framework.signal, clock.signal]),
                  key,
                  progress
                })
              )
          )
        ).pipe(
          Effect.mapError((thrown) => clock.signal.aborted ? new RemoteTimedOut({ ...about, millis }) : thrown),
          Effect.ensuring(Effect.sync(() => clock.stop()))
        )
      }))
  })

interface Sent {
  readonly signal: AbortSignal
  readonly key: string
  readonly progress: (content: Content.List) => void
}

/** The most notices of progress of one call, and the time between two: each is an event of the run. */
const [mostProgress, betweenProgress] = [1_000, 100]

const requestOf = (client: Client, definition: Definition, args: unknown, { key, progress, signal }: Sent) => {
  let [count, last] = [0, -Infinity]
  return client.callTool(
    // cast: the arguments are checked against the schema of the tool, whose type is an object.
    { name: definition.name, arguments: args as Record<string, unknown>, _meta: { [idempotencyKey]: key } },
    {
      signal,
      timeout: longest,
      // cast: the pinned definition is what the server has listed; the client only reads it.
      toolDefinition: definition as never,
      onprogress: ({ message, progress: value, total }: Progress) => {
        const now = performance.now()
        if (now - last < betweenProgress || ++count > mostProgress) return
        last = now
        progress([Content.data({
          progress: value,
          ...(total === undefined ? {} : { total }),
          ...(message === undefined ? {} : { message: message.slice(0, 1_000) })
        })])
      }
    }
  )
}

/** The clock of the call ends it, not the client's timer, which does not stand still. */
const longest = 2 ** 31 - 1

/** A server of this framework finds the run of a repeated call by it; others leave it alone. */
const idempotencyKey = "fastagentic/idempotencyKey"
