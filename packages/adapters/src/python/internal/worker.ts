// One Python process that has loaded one agent; workers.ts starts it and session.ts works through it. The process, and those
// that it has started, end with its scope. One that does not answer is ended.
import * as NodeChildProcessSpawner from "@effect/platform-node/NodeChildProcessSpawner"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Queue, Schedule, type Scope, Stream } from "effect"
import * as ChildProcess from "effect/process/ChildProcess"
import { fileURLToPath } from "node:url"
import { Lines } from "../../adapter/internal/lines.ts"
import { makeLog } from "../../adapter/internal/processLog.ts"
import { PythonUnusable, WorkerCrashed } from "../PythonError.ts"
import type { ToolSpec } from "./appTools.ts"
import {
  decodeFrame,
  type Description,
  type FromWorker,
  largest,
  protocol,
  type RunFrame,
  type ToWorker
} from "./frames.ts"
import type { Interpreter } from "./interpreter.ts"

const main = fileURLToPath(new URL("../../../python/main.py", import.meta.url))

const processes = Layer.provide(NodeChildProcessSpawner.layer, [NodeFileSystem.layer, NodePath.layer])

const startLimit = "2 minutes"

export interface Options {
  readonly entrypoint: string
  readonly interpreter: Interpreter
  readonly cwd: string
  readonly env: { readonly [name: string]: string }
  /** The tools of the app that a factory gets. */
  readonly tools: ReadonlyArray<ToolSpec>
  /** How long the process may leave a ping unanswered. */
  readonly unresponsive: Duration.Input
  /** Beyond so many bytes the process gets no new run, and beyond twice as many it is ended. */
  readonly maxMemory: number
}

/** A run on a worker. */
export interface Listener {
  readonly take: (frame: RunFrame) => void
  /** The process has ended. */
  readonly end: (error: WorkerCrashed) => void
}

export interface Worker {
  readonly description: Description
  /** Gives the frames of a new run to it, until `leave`. */
  readonly enter: (listener: Listener) => { readonly run: number; readonly leave: () => void }
  readonly send: (frame: ToWorker) => void
  /** Settles when the process has to get no new run: it has ended, or holds too much memory. */
  readonly worn: Deferred.Deferred<void>
  readonly kill: (reason: string) => void
}

const encoder = new TextEncoder()

/** The environment of this process without the settings of the server: its keys and its store are not the agent's. */
const inherited = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("FASTAGENTIC_")))

/** Starts a process and loads the agent. */
export const start = Effect.fnUntraced(
  function*(options: Options): Effect.fn.Return<Worker, PythonUnusable, Scope.Scope> {
    const { cwd, entrypoint, env, interpreter, tools } = options
    const unusable = (problem: string) => new PythonUnusable({ entrypoint, problem })
    if (process.platform === "win32") {
      return yield* unusable("agents of Python do not run on Windows: start the server in WSL or in a container")
    }
    const outbox = yield* Queue.unbounded<Uint8Array>()
    const worn = yield* Deferred.make<void>()
    const loaded = yield* Deferred.make<Description, PythonUnusable>()
    const listeners = new Map<number, Listener>()
    let [lastRun, lastPing, lastPong, lastWords] = [0, 0, 0, ""]
    let reason: string | undefined
    let crashed: WorkerCrashed | undefined

    const handle = yield* ChildProcess.make(interpreter.command, [...interpreter.args, "-u", main], {
      cwd,
      env: { ...inherited(), ...env, PYTHONUNBUFFERED: "1" },
      extendEnv: false,
      stdin: { stream: Stream.fromQueue(outbox), endOnDone: true },
      killSignal: "SIGTERM",
      forceKillAfter: "1 second"
    }).pipe(
      Effect.provideContext(yield* Layer.build(processes)),
      Effect.mapError(({ message }) =>
        unusable(
          `${interpreter.command} cannot be started (${message}); ` +
            "install Python 3.11 or later, or name one in FASTAGENTIC_PYTHON"
        )
      )
    )

    const send = (frame: ToWorker) => void Queue.offerUnsafe(outbox, encoder.encode(`${JSON.stringify(frame)}\n`))
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const kill = (why: string) => {
      if (reason !== undefined) return
      reason = why
      fork(Effect.ignore(handle.kill()))
    }

    const take = (frame: FromWorker) => {
      switch (frame.t) {
        case "hello":
          return frame.protocol === protocol
            ? send({ t: "load", entrypoint, tools })
            : kill("it speaks another protocol")
        case "loaded":
          return void Deferred.doneUnsafe(loaded, Exit.succeed(frame))
        case "refused": {
          const { message, traceback, type } = frame.error
          return void Deferred.doneUnsafe(
            loaded,
            Exit.fail(unusable(`cannot be loaded: ${type}: ${message}\n${traceback}`))
          )
        }
        case "pong": {
          lastPong = frame.n
          if (frame.memory > options.maxMemory) Deferred.doneUnsafe(worn, Exit.void)
          return frame.memory > 2 * options.maxMemory ? kill(`it holds ${frame.memory} bytes of memory`) : undefined
        }
        default:
          listeners.get(frame.run)?.take(frame)
      }
    }
    const frames = new Lines(largest, (line, isWhole) => {
      const frame = isWhole ? decodeFrame(line) : undefined
      if (frame?._tag === "Some") take(frame.value)
      else kill("it sent something that is no frame")
    })
    const log = makeLog({ python: entrypoint }, fork)
    const words = new Lines(4_096, (line) => {
      lastWords = line
      log(line)
    })

    const stdout = yield* Stream.runForEach(handle.stdout, (chunk) => Effect.sync(() => frames.push(chunk))).pipe(
      Effect.ignore,
      Effect.forkScoped
    )
    yield* Stream.runForEach(handle.stderr, (chunk) => Effect.sync(() => words.push(chunk))).pipe(
      Effect.ignore,
      Effect.forkScoped
    )
    yield* Effect.exit(handle.exitCode).pipe(
      // A process that was forked may keep the pipes open, so the exit counts, and what was sent before it.
      Effect.tap(() => Effect.timeoutOption(Fiber.await(stdout), "200 millis")),
      Effect.flatMap((exit) => {
        const problem = reason ?? (Exit.isSuccess(exit) ? `exit code ${exit.value}` : "a signal ended it")
        Deferred.doneUnsafe(loaded, Exit.fail(unusable(`it ended before it was ready (${problem}): ${lastWords}`)))
        crashed = new WorkerCrashed({ entrypoint, problem })
        for (const listener of listeners.values()) listener.end(crashed)
        return Deferred.succeed(worn, undefined)
      }),
      Effect.forkScoped
    )
    const description = yield* Deferred.await(loaded).pipe(
      Effect.timeoutOrElse({ duration: startLimit, orElse: () => Effect.fail(unusable("it takes too long to load")) })
    )
    // Only once it has loaded: until then its loop is busy with that.
    const every = Duration.millis(Duration.toMillis(Duration.fromInputUnsafe(options.unresponsive)) / 2)
    yield* Effect.sync(() => {
      if (lastPong < lastPing) return kill("it does not answer")
      send({ t: "ping", n: ++lastPing })
    }).pipe(Effect.delay(every), Effect.repeat(Schedule.forever), Effect.forkScoped)
    return {
      description,
      enter: (listener) => {
        const run = ++lastRun
        listeners.set(run, listener)
        if (crashed !== undefined) listener.end(crashed)
        return { run, leave: () => void listeners.delete(run) }
      },
      send,
      worn,
      kill
    }
  }
)
