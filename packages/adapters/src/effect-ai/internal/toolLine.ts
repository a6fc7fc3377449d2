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

/** The annotation of a tool of the client: its calls do nothing here but wait, so no other call waits for them. */
export const OfClient = Context.Reference<boolean>(
  "@fastagentic/adapters/effect-ai/internal/toolLine/OfClient",
  { defaultValue: () => false }
)

interface Waiting {
  readonly isConcurrent: boolean
  readonly isOfClient: boolean
  readonly begun: Deferred.Deferred<void>
  state: "coming" | "asking" | "ready" | "acting" | "done"
}

export class ToolLine {
  private readonly calls: ReadonlyArray<Waiting>

  constructor(toolkit: AnyTools, calls: ReadonlyArray<Call>) {
    this.calls = calls.map((call) => {
      const isOfClient = isOn(toolkit, call, OfClient)
      return {
        isConcurrent: isConcurrent(toolkit, call),
        isOfClient,
        begun: Deferred.makeUnsafe<void>(),
        state: isOfClient ? "asking" : "coming"
      }
    })
  }

  /** Makes a call in its turn. */
  within<A, E, R>(index: number, make: (turn: ToolCall.Turn) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const call = this.calls[index]
    if (call === undefined) return Effect.die(new Error(`there is no call ${index}`))
    if (call.isOfClient) return make({ asks: Effect.void, acts: Effect.void })
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

  /** Begins all calls that may: a message may have very many, so each change looks at each call once. */
  private advance() {
    const acting = this.calls.filter(({ state }) => state === "acting")
    let [isBusy, isExclusive] = [acting.length > 0, acting.some(({ isConcurrent }) => !isConcurrent)]
    for (const call of this.calls) {
      if (call.state === "done" || call.state === "asking") continue
      if (call.state === "ready" && !(call.isConcurrent ? isExclusive : isBusy)) {
        call.state = "acting"
        Deferred.doneUnsafe(call.begun, Effect.void)
      }
      // Whether it works or comes later: calls after it wait as if it worked.
      isBusy = true
      isExclusive ||= !call.isConcurrent
    }
  }
}

const isOn = ({ tools }: AnyTools, { name }: Call, annotation: Context.Reference<boolean>) => {
  const tool = Object.hasOwn(tools, name) ? tools[name] : undefined
  return tool !== undefined && Context.get(tool.annotations, annotation)
}

/** An unknown tool does nothing. */
const isConcurrent = ({ tools }: AnyTools, { name }: Call) => {
  const tool = Object.hasOwn(tools, name) ? tools[name] : undefined
  return tool === undefined ||
    (Context.get(tool.annotations, Concurrent) ?? Context.get(tool.annotations, Tool.Readonly))
}
