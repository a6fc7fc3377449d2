// The calls that are under way on a connection, so that a question of the server reaches the run whose call it belongs to.
// Answers of 2026-07-28 and streams of HTTP carry that in their async context; a process that speaks 2025 does not say it.
import { AsyncLocalStorage } from "node:async_hooks"
import type { FrameworkRun } from "../../adapter/FrameworkRun.ts"

/** A call of a run. */
export interface Call {
  readonly runId: string
  readonly tool: string
  readonly framework: FrameworkRun
  /** The time of the call stands still while somebody is asked. */
  readonly clock: Clock
}

const current = new AsyncLocalStorage<Call>()

/** The call that the code belongs to which runs now. */
export const currentCall = (): Call | undefined => current.getStore()

/** Runs code that belongs to no call, such as a new connection, which outlives the call that needed it. */
export const outside = <A>(work: () => A): A => current.exit(work)

export class Calls {
  private readonly underWay = new Set<Call>()

  async during<A>(call: Call, work: () => Promise<A>): Promise<A> {
    this.underWay.add(call)
    try {
      return await current.run(call, work)
    } finally {
      this.underWay.delete(call)
    }
  }

  /** The call that a question belongs to; nothing when calls of several runs are possible. */
  asking(): Call | undefined {
    const known = current.getStore()
    if (known !== undefined) return known
    const [first, ...others] = this.underWay
    return others.every(({ runId }) => runId === first?.runId) ? first : undefined
  }
}

/** The most questions of one call: a server that asks for ever uses no time of the call. */
const mostQuestions = 20

/** The time of one call, which ends it by its signal. */
export class Clock {
  private readonly controller = new AbortController()
  private readonly millis: number
  private timer: NodeJS.Timeout | undefined
  private startedAt = 0
  private used = 0
  private pauses = 0
  private questions = 0
  private last: Promise<unknown> = Promise.resolve()

  constructor(millis: number) {
    this.millis = millis
    this.start()
  }

  get signal(): AbortSignal {
    return this.controller.signal
  }

  /** Waits for an answer of somebody, without limit; the questions of a call are asked one after the other. */
  async pause<A>(work: () => Promise<A>): Promise<A> {
    if (++this.questions > mostQuestions) throw new Error("the call has asked too much")
    if (this.pauses++ === 0) this.stop()
    try {
      const asked = this.last.then(work, work)
      this.last = asked
      return await asked
    } finally {
      if (--this.pauses === 0) this.start()
    }
  }

  stop() {
    clearTimeout(this.timer)
    this.used += performance.now() - this.startedAt
  }

  private start() {
    this.startedAt = performance.now()
    this.timer = setTimeout(() => this.controller.abort(), Math.max(0, this.millis - this.used))
  }
}
