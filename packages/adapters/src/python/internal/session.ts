// One run on a worker: its frames in order, the requests of its code, and the work that these ask back for. host.ts makes one
// for each attempt of a run. Events are in the journal before a request that came after them is handled.
import { Run } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect, Predicate, type Schema } from "effect"
import { AsyncLocalStorage } from "node:async_hooks"
import { Thrown } from "../../adapter/AdapterError.ts"
import type { FrameworkRun } from "../../adapter/FrameworkRun.ts"
import { toJson } from "../../adapter/Json.ts"
import * as PromiseScope from "../../adapter/PromiseScope.ts"
import { PythonException } from "../PythonError.ts"
import { decodeEvent } from "./events.ts"
import { type Frame, type Raised, type Refusal, type RunFrame, type ToWorker, window } from "./frames.ts"
import type { Worker } from "./worker.ts"

/** How long code has to end after a cancellation, before its process is ended. */
const grace = 2_000

/** How long code has to react to an answer before its run may rest. */
const reaction = 2_000

/** The requests that a run may rest in. */
const pauses: ReadonlySet<string> = new Set(["interrupt", "sleep"])

/** A request of the code of a run. */
export interface Ask {
  readonly session: Session
  readonly data: unknown
  /** Asks the worker for the work of the request, with its place in the run. */
  readonly work: (data: Schema.Json, signal: AbortSignal) => Promise<Schema.Json>
  /** The pieces of the work that is asked for next. */
  readonly parts: Parts
}

/** Pieces of work, in order; each is taken before the worker may send more than its window. */
export interface Parts {
  take: ((part: unknown) => Promise<void>) | undefined
}

/** Handles a kind of request. */
export type Handler = (ask: Ask) => Promise<unknown>

/**
 * Ends the wait for work that nobody does any more. The run interrupts its steps first: a step that failed instead would be
 * stored as failed by a commit beside it, and a resumed run would get that failure.
 */
const rejectLater = (reject: (error: unknown) => void) => void setTimeout(() => reject(new PromiseScope.Stopped()), 50)

/** A refusal as code of the agent may read it; the text of an unknown error may hold secrets. */
const wordsOf = (error: unknown): { readonly tag: string; readonly message: string } =>
  Predicate.hasProperty(error, "_tag") && error instanceof Error
    ? { tag: String(error._tag), message: error.message }
    : { tag: "Failed", message: "the request failed" }

/** The answer of an agent, and the messages that it adds to its conversation. */
export interface Done {
  readonly output: Schema.Json
  readonly said: ReadonlyArray<Schema.Json>
}

/** The answer to a request. */
type Reply = { readonly value: Schema.Json } | { readonly error: Refusal }

interface Pending {
  readonly resolve: (value: Schema.Json) => void
  readonly reject: (error: unknown) => void
  readonly inPlace: <A>(use: () => A) => A
}

export class Session {
  readonly framework: FrameworkRun
  /** Whether work was committed in this attempt: a run that moves is not the one that ends its process. */
  hasMoved = false
  /** The errors that models raised, with the model's name. */
  readonly modelFailures: WeakMap<object, string>
  private readonly worker: Worker
  private readonly handlers: Readonly<Record<string, Handler>>
  private readonly inbox: Array<RunFrame> = []
  private readonly pending = new Map<number, Pending>()
  private readonly parts = new Map<number, Parts>()
  private readonly failures: Array<unknown> = []
  private run = 0
  private taken = 0
  private isReading = false
  /** How many requests wait for a decision or a time. */
  private waiting = 0
  /** Ends the wait for a reaction. */
  private reacted = () => {}
  private isOver = false
  private settle: { readonly resolve: (done: Done) => void; readonly reject: (error: unknown) => void } = {
    resolve: () => {},
    reject: () => {}
  }

  constructor(
    worker: Worker,
    framework: FrameworkRun,
    handlers: Readonly<Record<string, Handler>>,
    modelFailures: WeakMap<object, string>
  ) {
    this.worker = worker
    this.framework = framework
    this.handlers = handlers
    this.modelFailures = modelFailures
  }

  /** Runs the agent to its end. When the run ends before, its code is cancelled, and then its process is ended. */
  async drive(start: Omit<Extract<ToWorker, { readonly t: "start" }>, "t" | "run" | "credit">): Promise<Done> {
    const { signal } = this.framework
    const { leave, run } = this.worker.enter({
      take: (frame) => this.receive(frame),
      end: (error) => this.settle.reject(error)
    })
    this.run = run
    let timer: NodeJS.Timeout | undefined
    const cancel = () => {
      this.worker.send({ t: "cancel", run })
      timer = setTimeout(() => this.worker.kill("its code ignored a cancellation"), grace)
    }
    try {
      return await new Promise<Done>((resolve, reject) => {
        this.settle = { resolve, reject }
        this.worker.send({ t: "start", run, credit: window, ...start })
        if (signal.aborted) cancel()
        else signal.addEventListener("abort", cancel, { once: true })
      })
    } finally {
      clearTimeout(timer)
      signal.removeEventListener("abort", cancel)
      leave()
      this.isOver = true
      for (const { reject } of this.pending.values()) rejectLater(reject)
    }
  }

  private receive(frame: RunFrame) {
    this.reacted()
    this.inbox.push(frame)
    if (this.isReading) return
    this.isReading = true
    this.read().catch((error: unknown) => {
      this.inbox.length = 0
      this.isReading = false
      this.settle.reject(error)
    })
  }

  private async read() {
    for (let frame = this.inbox.shift(); frame !== undefined; frame = this.inbox.shift()) {
      switch (frame.t) {
        case "event":
          await this.emit(frame)
          break
        case "part":
          await this.parts.get(frame.call)?.take?.(frame.part)
          this.took(1)
          break
        case "ask":
          this.answer(frame)
          break
        case "did":
          this.did(frame)
          break
        case "done":
          if (frame.error !== undefined) this.settle.reject(this.thrown(frame.error))
          else this.settle.resolve({ output: frame.output ?? null, said: frame.said ?? [] })
      }
    }
    // Set in the turn that found nothing more, so that the next frame starts the reader again.
    this.isReading = false
  }

  /** Emits this event and those after it that were said in the same place. */
  private async emit(first: Frame<"event">) {
    const events = [decodeEvent(first.event)]
    for (let next = this.inbox[0]; next?.t === "event" && next.within === first.within; next = this.inbox[0]) {
      this.inbox.shift()
      events.push(decodeEvent(next.event))
    }
    if (this.framework.signal.aborted) return
    await this.inPlace(first.within, () => this.framework.promise(Effect.forEach(events, Run.emit, { discard: true })))
    this.took(events.length)
  }

  private took(events: number) {
    this.taken += events
    if (this.taken < window / 2) return
    this.worker.send({ t: "credit", run: this.run, n: this.taken })
    this.taken = 0
  }

  private answer({ call, data, kind, within }: Frame<"ask">) {
    const handler = this.handlers[kind]
    const parts: Parts = { take: undefined }
    this.parts.set(call, parts)
    const isPause = pauses.has(kind)
    if (isPause) this.waiting++
    const reply = (reply: Reply) => {
      if (isPause) this.waiting--
      this.send(call, reply)
    }
    let hasRaised = false
    const work = async (data: Schema.Json, signal: AbortSignal) => {
      try {
        return await this.work(call, data, signal)
      } catch (error) {
        hasRaised = true
        throw error
      }
    }
    const value = handler === undefined
      ? Promise.reject(new Error(`the worker asked for ${kind}, which nobody knows`))
      : this.inPlace(within, () => handler({ session: this, data, work, parts }))
    value.then(
      (value) => reply({ value: toJson(value) }),
      (error: unknown) => {
        const cause = error instanceof Thrown ? error.cause : error
        const failure = this.failures.push(cause) - 1
        reply({ error: { ...wordsOf(cause), own: hasRaised && cause instanceof PythonException, failure } })
      }
    ).finally(() => this.parts.delete(call))
  }

  private send(call: number, reply: Reply) {
    if (this.framework.signal.aborted) return
    this.worker.send({ t: "res", run: this.run, call, ...reply })
    if (this.waiting > 0) this.react()
  }

  /** Keeps a run that waits for something else from resting until its code has reacted: its memory would be left before. */
  private react() {
    const before = this.reacted
    const reacted = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, reaction).unref()
      this.reacted = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.framework.promise(CurrentRun.use(({ busy }) => busy(Effect.promise(() => reacted)))).catch(() => {})
    before()
  }

  private work(call: number, data: Schema.Json, signal: AbortSignal): Promise<Schema.Json> {
    // A request that was on its way when the process ended would wait for ever.
    if (this.isOver || signal.aborted) return new Promise((_resolve, reject) => rejectLater(reject))
    return new Promise<Schema.Json>((resolve, reject) => {
      const inPlace: Pending["inPlace"] = AsyncLocalStorage.snapshot()
      const abort = () => this.worker.send({ t: "abort", run: this.run, call })
      this.pending.set(call, { resolve, reject, inPlace })
      signal.addEventListener("abort", abort, { once: true })
      this.worker.send({ t: "work", run: this.run, call, data })
    }).finally(() => this.pending.delete(call))
  }

  private did({ call, error, value }: Frame<"did">) {
    const pending = this.pending.get(call)
    if (error === undefined) pending?.resolve(value ?? null)
    else pending?.reject(this.thrown(error))
  }

  private inPlace<A>(within: number | undefined, use: () => A): A {
    const pending = within === undefined ? undefined : this.pending.get(within)
    return pending === undefined ? use() : pending.inPlace(use)
  }

  /** The error that an exception stands for: a refusal that went through code unchanged is that refusal. */
  private thrown(raised: Raised): unknown {
    const known = raised.failure === undefined ? undefined : this.failures[raised.failure]
    if (known !== undefined) return known
    return new PythonException({ ...raised, errors: raised.inner.map((one) => this.thrown(one)) })
  }
}
