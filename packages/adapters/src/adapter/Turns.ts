/**
 * The turns of a framework's loop as `node_enter` and `node_exit`, with the `node` hooks around each.
 *
 * @since 0.1.0
 */
import type { Hook } from "@fastagentic/core"
import * as Present from "@fastagentic/core/base/Present"
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { HookBlocked } from "@fastagentic/core/run/RunError"
import { Effect, Exit, type Scope } from "effect"
import * as HookBracket from "./HookBracket.ts"

/** @category models @since 0.1.0 */
export interface Turns {
  /** Ends the turn before, and begins the next. */
  readonly begin: Effect.Effect<void, HookBlocked, CurrentRun | Scope.Scope>
  readonly end: (status: "ok" | "error") => Effect.Effect<void, HookBlocked, CurrentRun>
}

interface Open {
  readonly call: Hook.NodeCall
  readonly startedAt: number
  readonly bracket: HookBracket.HookBracket<void, never>
}

/** Counts the turns of one run. @category constructors @since 0.1.0 */
export const make = (): Turns => {
  let count = 0
  let open: Open | undefined

  const end = (status: "ok" | "error") =>
    Effect.suspend(() => {
      const last = open
      open = undefined
      return last === undefined ? Effect.void : Effect.gen(function*() {
        const { emit } = yield* CurrentRun
        const { name, nodeId } = last.call
        const durationMs = (yield* Present.millis) - last.startedAt
        yield* last.bracket.end(Exit.void)
        yield* emit({ type: "node_exit", data: { nodeId, name, status, durationMs } })
      })
    })

  const begin = Effect.gen(function*() {
    yield* end("ok")
    const { emit, hooks } = yield* CurrentRun
    count++
    const call: Hook.NodeCall = { nodeId: `turn_${count}`, name: `turn ${count}`, kind: "turn" }
    const bracket = yield* HookBracket.open<Hook.NodeCall, void, never>("node", call, hooks.node)
    open = { call, bracket, startedAt: yield* Present.millis }
    yield* emit({ type: "node_enter", data: call })
  })

  return { begin, end }
}
