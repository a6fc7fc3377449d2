/**
 * A typed client of an app, made from its declaration alone.
 *
 * @since 0.1.0
 */
import type * as Agent from "@fastagentic/core/app/Agent"
import type * as App from "@fastagentic/core/app/App"
import type { Message } from "@fastagentic/core/app/PromptTemplate"
import type * as PromptTemplate from "@fastagentic/core/app/PromptTemplate"
import type * as Resource from "@fastagentic/core/app/Resource"
import type { Checkpoint } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import type { RunEvent } from "@fastagentic/core/run/Event"
import type { Answer, Interrupt } from "@fastagentic/core/run/Interrupt"
import type * as CoreInterrupt from "@fastagentic/core/run/Interrupt"
import type * as RunRecord from "@fastagentic/core/run/RunRecord"
import type * as RecordFields from "@fastagentic/core/store/RecordFields"
import type * as ThreadMessage from "@fastagentic/core/thread/Message"
import { Effect, Schema, type Stream } from "effect"
import type * as Tool from "effect/ai/Tool"
import * as HttpClient from "effect/http/HttpClient"
import * as ClientCalls from "./ClientCalls.ts"
import { ClientError, Disconnected, isTransient, RunFailed, RunSuspended, UnexpectedResponse } from "./ClientError.ts"
import * as ClientFiles from "./ClientFiles.ts"
import * as ClientRuns from "./ClientRuns.ts"
import * as ClientThreads from "./ClientThreads.ts"
import * as Transport from "./ClientTransport.ts"
import type * as Schemas from "./Schemas.ts"

export { ClientError, Disconnected, isTransient, RunFailed, RunSuspended, UnexpectedResponse }

/** A key makes a repeated call the same run; runs of one thread belong together. @category models @since 0.1.0 */
export interface CallOptions {
  readonly idempotencyKey?: string
  readonly threadId?: string
  /** Queued runs with a higher priority start first; 0 by default. */
  readonly priority?: number
  /** The run may take this long from its start: milliseconds, or text such as `30s`. */
  readonly timeout?: number | string
}

/** @category models @since 0.1.0 */
export interface StartOptions extends CallOptions {
  /** The run is admitted now and starts at this time; a number is Unix milliseconds. */
  readonly startAt?: Date | number
}

/** @category models @since 0.1.0 */
export interface ForkOptions {
  /** The number of an event; the last one by default. */
  readonly after?: number
  readonly idempotencyKey?: string
}

/** The input can be left out when all its fields are optional. @category utility types @since 0.1.0 */
export type Args<Input, Options extends ReadonlyArray<unknown>> = {} extends Input ? [input?: Input, ...Options]
  : [input: Input, ...Options]

/** @category models @since 0.1.0 */
export interface AgentClient<A extends Agent.Any> {
  /** Waits for the answer. A suspended run is a `RunSuspended`. */
  (...args: Args<A["payloadSchema"]["Type"], [options?: CallOptions]>): Effect.Effect<
    A["successSchema"]["Type"],
    A["errorSchema"]["Type"] | RunSuspended | ClientError
  >
  /** The run's journal until it ends or is suspended; broken connections are reopened. */
  readonly stream: (...args: Args<A["payloadSchema"]["Type"], [options?: CallOptions]>) => Stream.Stream<
    RunEvent,
    A["errorSchema"]["Type"] | ClientError
  >
  /**
   * The text of the answer so far, each time that it changes, as it stands: text that a later attempt supersedes, after a
   * crash of its server, is not in it.
   */
  readonly text: (...args: Args<A["payloadSchema"]["Type"], [options?: CallOptions]>) => Stream.Stream<
    string,
    A["errorSchema"]["Type"] | ClientError
  >
  /** Starts a run and does not wait for it. */
  readonly start: (
    ...args: Args<A["payloadSchema"]["Type"], [options?: StartOptions]>
  ) => Effect.Effect<Schemas.Run, ClientError>
}

/** @category models @since 0.1.0 */
export type ToolClient<T> = (...args: Args<Tool.Parameters<T>, [options?: CallOptions]>) => Effect.Effect<
  Tool.Success<T>,
  Tool.Failure<T> | RunSuspended | ClientError
>

/** @category models @since 0.1.0 */
export type ResourceClient<R extends Resource.Any> = (...args: Args<R["paramsSchema"]["Type"], []>) => Effect.Effect<
  R["successSchema"]["Type"],
  R["errorSchema"]["Type"] | ClientError
>

/** @category models @since 0.1.0 */
export type PromptClient<P extends PromptTemplate.Any> = (
  ...args: Args<P["paramsSchema"]["Type"], []>
) => Effect.Effect<ReadonlyArray<Message>, ClientError>

/** The fields to list runs by, newest first; `after` is the `next` of the page before. @category models @since 0.1.0 */
export interface RunFilter extends RunRecord.RunFilter {
  readonly after?: string
  readonly limit?: number
  /** Fields that are left out otherwise because they may be large. */
  readonly fields?: ReadonlyArray<RecordFields.LargeField>
}

/** Runs of any agent and tool, by their ids. @category models @since 0.1.0 */
export interface Runs {
  readonly get: (runId: string) => Effect.Effect<Schemas.Run, ClientError>
  readonly list: (filter?: RunFilter) => Effect.Effect<
    { readonly items: ReadonlyArray<Schemas.RunSummary>; readonly next: string | null },
    ClientError
  >
  /** The journal after an event number until the run has ended; broken connections are reopened. */
  readonly events: (runId: string, options?: { readonly after?: number }) => Stream.Stream<RunEvent, ClientError>
  readonly cancel: (runId: string, reason?: string) => Effect.Effect<Schemas.Run, ClientError>
  readonly resume: (runId: string) => Effect.Effect<Schemas.Run, ClientError>
  /** The steps after which the run can be forked, oldest first. */
  readonly checkpoints: (runId: string) => Effect.Effect<ReadonlyArray<Checkpoint>, ClientError>
  /** Starts a run that continues from a step of this one. */
  readonly fork: (runId: string, options?: ForkOptions) => Effect.Effect<Schemas.Run, ClientError>
  /** Starts the run that continues where this one failed, or finds it. */
  readonly retry: (runId: string) => Effect.Effect<Schemas.Run, ClientError>
  readonly interrupts: (runId: string) => Effect.Effect<ReadonlyArray<Interrupt>, ClientError>
  /** The open decisions that this caller may take, of all runs of the tenant. */
  readonly pending: (page?: {
    readonly after?: string
    readonly limit?: number
    /** Fields whose values are shown even if they are large. */
    readonly fields?: ReadonlyArray<typeof CoreInterrupt.largeFields[number]>
  }) => Effect.Effect<
    { readonly items: ReadonlyArray<CoreInterrupt.Summary>; readonly next: string | null },
    ClientError
  >
  readonly answer: (runId: string, interruptId: string, answer: Answer) => Effect.Effect<Schemas.Run, ClientError>
  /** Decides several interrupts of a run in one request. */
  readonly answerAll: (
    runId: string,
    answers: ReadonlyArray<Answer & { readonly id: string }>
  ) => Effect.Effect<Schemas.Run, ClientError>
  /** Sends a message that the run's agent declares; one call sends it once, however often it is tried. */
  readonly signal: (
    runId: string,
    name: string,
    payload: Schema.Json,
    options?: { readonly idempotencyKey?: string }
  ) => Effect.Effect<Schemas.Run, ClientError>
}

/** The owner of a thread, for callers who see the runs of the tenant; the caller unless given. @category models @since 0.1.0 */
export interface ThreadOptions {
  readonly owner?: string
}

/** Conversations, by their ids. @category models @since 0.1.0 */
export interface Threads {
  /** The threads that changed last first; `after` is the `next` of the page before. */
  readonly list: (page?: ThreadOptions & { readonly after?: string; readonly limit?: number }) => Effect.Effect<
    { readonly items: ReadonlyArray<Schemas.Thread>; readonly next: string | null },
    ClientError
  >
  readonly get: (threadId: string, options?: ThreadOptions) => Effect.Effect<Schemas.Thread, ClientError>
  /** A page of messages, in their order or the newest first; `after` is the `next` of the page before. */
  readonly messages: (
    threadId: string,
    page?: ThreadOptions & {
      readonly after?: string
      readonly limit?: number
      readonly order?: "oldest" | "newest"
    }
  ) => Effect.Effect<
    { readonly items: ReadonlyArray<ThreadMessage.Stored>; readonly next: string | null },
    ClientError
  >
  /** Copies the turns up to a message, by default all, into a new thread; one call makes one, however often it is tried. */
  readonly fork: (
    threadId: string,
    options?: ThreadOptions & { readonly at?: number; readonly idempotencyKey?: string }
  ) => Effect.Effect<Schemas.Thread, ClientError>
  /** Removes the messages of a thread, and its runs with all that they keep. */
  readonly erase: (threadId: string, options?: ThreadOptions) => Effect.Effect<void, ClientError>
}

/** Stored files of the caller. @category models @since 0.1.0 */
export interface StoredFiles {
  /** Stores a file, which goes into any payload as it comes back. */
  readonly upload: (
    file: { readonly bytes: Uint8Array; readonly mediaType: string; readonly name?: string }
  ) => Effect.Effect<Schemas.StoredFile, ClientError>
  readonly read: (fileId: string) => Effect.Effect<Uint8Array, ClientError>
}

/** Calls for everything that an app declares. @category models @since 0.1.0 */
export interface Client<A extends App.Any> {
  readonly agents: { readonly [One in A["agents"][number] as One["identifier"]]: AgentClient<One> }
  readonly tools: { readonly [Name in keyof A["tools"]["tools"]]: ToolClient<A["tools"]["tools"][Name]> }
  readonly resources: { readonly [One in A["resources"][number] as One["identifier"]]: ResourceClient<One> }
  readonly prompts: { readonly [One in A["prompts"][number] as One["identifier"]]: PromptClient<One> }
  readonly runs: Runs
  readonly threads: Threads
  readonly files: StoredFiles
}

/**
 * The address of the app and the caller's credentials.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly url: string
  readonly credentials?: Credentials.Credentials
  /** How often in a row a broken connection is reopened; 6 by default. */
  readonly retries?: number
}

/**
 * Makes a client.
 *
 * **Details**
 *
 * A call whose connection breaks, or whose server shuts down, is repeated under its idempotency key (a random one by
 * default), so it attaches to its run and never starts a second one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A extends App.Any>(
  app: A,
  options: Options
): Effect.Effect<Client<A>, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (http) => {
    const transport = Transport.make(http, {
      url: options.url,
      credentials: options.credentials ?? Credentials.none,
      retries: options.retries ?? 6
    })
    const client = {
      agents: byName(app.agents, (agent) => ClientCalls.agent(transport, agent)),
      tools: byName(Object.values(app.tools.tools).map(toolTarget), (tool) => ClientCalls.tool(transport, tool)),
      resources: byName(app.resources, (resource) => ClientCalls.resource(transport, resource)),
      prompts: byName(app.prompts, (prompt) => ClientCalls.prompt(transport, prompt)),
      runs: ClientRuns.make(transport),
      threads: ClientThreads.make(transport),
      files: ClientFiles.make(transport)
    }
    // cast: the declarations are erased here; each call decodes with the schemas that its type is made of.
    return client as unknown as Client<A>
  })

const byName = <D extends { readonly identifier: string }, C>(
  declarations: ReadonlyArray<D>,
  clientOf: (one: D) => C
) => Object.fromEntries(declarations.map((one) => [one.identifier, clientOf(one)]))

const toolTarget = (tool: Tool.Any): ClientCalls.Target => ({
  identifier: tool.name,
  payloadSchema: pure(tool.parametersSchema),
  successSchema: pure(tool.successSchema),
  errorSchema: pure(tool.failureSchema)
})

// Declarations take schemas without services only; the types of effect/ai's tools say it at their handlers.
const pure = (schema: Schema.Constraint) => Schema.make<Schema.Codec<unknown>>(schema.ast)
