/**
 * Limits on what one principal holds open at a time on one node.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import * as Timings from "../base/Timings.ts"
import type { Principal } from "../run/Principal.ts"
import { TooManyOpen } from "../run/RunError.ts"

/** @category models @since 0.1.0 */
export interface OpenLimits {
  /** Runs in memory of one node. */
  readonly runs: number
  /** Streams of journals, on every protocol. */
  readonly streams: number
  /** Connections that live on between requests: WebSockets. */
  readonly sockets: number
  /** Facts that nodes share for its requests, such as the subscriptions of its MCP sessions, in the time that each is kept. */
  readonly notes: number
}

/**
 * The limits of a runtime; provide another value to change them.
 *
 * @category references
 * @since 0.1.0
 */
export const OpenLimits = Context.Reference<OpenLimits>("@fastagentic/core/door/OpenLimits", {
  defaultValue: () => ({
    runs: Timings.openRuns,
    streams: Timings.openStreams,
    sockets: Timings.openSockets,
    notes: Timings.openNotes
  })
})

/**
 * Counts what each principal holds open, under one rule.
 *
 * @category models
 * @since 0.1.0
 */
export class OpenCount {
  private readonly held = new Map<string, number>()
  private readonly rule: string
  private readonly limit: number

  constructor(rule: string, limit: number) {
    this.rule = rule
    this.limit = limit
  }

  /** The refusal of one more, if there is one. */
  refusal(principal: Owner): TooManyOpen | undefined {
    return (this.held.get(keyOf(principal)) ?? 0) < this.limit
      ? undefined
      : new TooManyOpen({ rule: this.rule, limit: this.limit })
  }

  /** Counts one more until the function that it returns is called, once. */
  take(principal: Owner): () => void {
    const key = keyOf(principal)
    this.held.set(key, (this.held.get(key) ?? 0) + 1)
    return () => {
      const left = (this.held.get(key) ?? 0) - 1
      if (left > 0) this.held.set(key, left)
      else this.held.delete(key)
    }
  }
}

type Owner = Pick<Principal, "tenant" | "id">

const keyOf = ({ id, tenant }: Owner) => `${tenant}\0${id}`
