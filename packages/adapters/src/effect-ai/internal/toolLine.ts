// The order in which the calls of one message work. Calls that only read, or say that they may, work side by side; every
// other call waits for those before it and works alone. A call that waits for an approval lets those after it go first.
import type { ToolCall } from "@fastagentic/core"
import { Context, Deferred, Effect } from "effect"
import * as Tool from "effect/ai/Tool"
import type { AnyTools, Call } from "./answer.ts"

/** The annotation of `ModelLoop.Concurrent`. */
export const Concurrent = Context.Reference<boolean | undefined>(
  "@fastagentic/adapters/effect-ai/internal/toolLine/Concurrent",
  { defaultValue: () => undefined }
)

interface Waiting {
  readonly isConcurrent: boolean
  readonly begun: Deferred.Deferred<void>
  state: "coming" | "asking" | "ready" | "acting" | "done"
}

export class ToolLine {
  private readonly calls: ReadonlyArray<Waiting>

  constructor(toolkit: AnyTools, calls: ReadonlyArray<Call>) {
    this.calls = calls.map((call) => ({
      isConcurrent: isConcurrent(toolkit, call),
      begun: Deferred.makeUnsafe<void>(),
      state: "coming"
    }))
  }

  /** Makes a call in its turn. */
  within<A, E, R>(index: number, make: (turn: ToolCall.Turn) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const call = this.calls[index]
    if (call === undefined) return Effect.die(new Error(`there is no call ${index}`))
    const enter = (state: Waiting["state"]) =>
      Effect.sync(() => {
        // A hook may repeat a call that works already.
        if (call.state === "acting" && state === "ready") return
        call.state = state
        this.advance()
      })
    const turn = { asks: enter("asking"), acts: Effect.andThen(enter("ready"), Deferred.await(call.begun)) }
    return Effect.ensuring(make(turn), enter("done"))
  }

  private advance() {
    this.calls.forEach((call, index) => {
      if (call.state !== "ready" || !this.mayBegin(call, index)) return
      call.state = "acting"
      Deferred.doneUnsafe(call.begun, Effect.void)
    })
  }

  private mayBegin(call: Waiting, index: number) {
    return this.calls.every((other, at) => {
      if (other === call || other.state === "done" || other.state === "asking") return true
      if (other.isConcurrent && call.isConcurrent) return true
      return at > index && other.state !== "acting"
    })
  }
}

/** An unknown tool does nothing. */
const isConcurrent = ({ tools }: AnyTools, { name }: Call) => {
  const tool = Object.hasOwn(tools, name) ? tools[name] : undefined
  return tool === undefined ||
    (Context.get(tool.annotations, Concurrent) ?? Context.get(tool.annotations, Tool.Readonly))
}
