// Compares what an app asks of its agents with what their adapters can do; Runtime.layer calls it at start. A requirement that
// an adapter cannot hold stops the start, because at run time it would be broken silently.
import { Effect } from "effect"
import type { Adapter } from "../../app/AdapterCapabilities.ts"
import type * as Agent from "../../app/Agent.ts"
import { type Callable, type Fusion, FusionError } from "../../app/Fusion.ts"
import type { Budget } from "../../budget/Budget.ts"
import type * as Hook from "../../hook/Hook.ts"
import type { HookWithHandler } from "../../hook/internal/dispatch.ts"

/** The table with the adapter of each agent. */
export const withAdapters = (fusion: Fusion, adapterOf: (agent: Agent.Any) => Adapter | undefined): Fusion => {
  const agents = new Map<string, Callable>(fusion.agents)
  let found = false
  for (const agent of fusion.app.agents) {
    const [callable, adapter] = [agents.get(agent.identifier), adapterOf(agent)]
    if (callable === undefined || adapter === undefined) continue
    agents.set(agent.identifier, { ...callable, adapter })
    found = true
  }
  return found ? { ...fusion, agents } : fusion
}

/** Fails for the first requirement that the adapter of an agent cannot hold. */
export const checkAdapter = (
  callable: Callable,
  declared: ReadonlyArray<Hook.Any>,
  hooks: ReadonlyArray<HookWithHandler>,
  limits: Budget["Service"]["limits"]
): Effect.Effect<void, FusionError> => {
  const { adapter } = callable
  const problem = adapter === undefined ? undefined : problemOf(adapter, callable, declared, hooks, limits)
  return problem === undefined
    ? Effect.void
    : Effect.fail(new FusionError({ declaration: `${callable.kind} "${callable.identifier}"`, problem }))
}

const problemOf = (
  { capabilities, name, remedy }: Adapter,
  { durable }: Callable,
  declared: ReadonlyArray<Hook.Any>,
  hooks: ReadonlyArray<HookWithHandler>,
  limits: Budget["Service"]["limits"]
): string | undefined => {
  const or = (other: string) => remedy === undefined ? other : `${remedy}, or ${other}`
  if (durable && capabilities.commit !== "barrier") {
    return `it is durable, and its adapter "${name}" does not wait for commits, so a resumed run would repeat its side ` +
      `effects: ${or("declare it with durable: false")}`
  }
  const [limit] = limits
  if (limit !== undefined && !capabilities.budget) {
    return `the budget has the limit "${limit.name}", and its adapter "${name}" cannot stop a call of a model: ${
      or("serve it without limits")
    }`
  }
  for (const { identifier, points } of hooks) {
    for (const point of ["llm", "tool", "node"] as const) {
      if (points?.[point] !== undefined && capabilities.hooks[point] === "none") {
        return `the hook "${identifier}" has the point "${point}", which its adapter "${name}" does not reach: ${
          or("declare the hook on other agents")
        }`
      }
    }
    if (points?.checkpoint !== undefined && capabilities.commit === "none") {
      return `the hook "${identifier}" has the point "checkpoint", and its adapter "${name}" commits nothing: ${
        or("declare the hook on other agents")
      }`
    }
  }
  const asking = capabilities.interrupts ? undefined : declared.find(({ suspends }) => suspends)
  return asking === undefined
    ? undefined
    : `the hook "${asking.identifier}" may ask a human, and its adapter "${name}" cannot pause: ${
      or("declare the hook on other agents")
    }`
}
