// Filters the declarations that a caller may call, for catalogs of every protocol; Runtime builds it.
import { Effect } from "effect"
import type { Fusion } from "../../app/Fusion.ts"
import { refusalOf } from "../../audit/internal/refusalOf.ts"
import * as Policy from "../../base/Policy.ts"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { Target } from "../Runtime.ts"

/** The declarations that a caller may call, before limits and budgets. */
export const makeVisibleTo = (fusion: Fusion, door: Door) => {
  const scopesOf = ({ identifier, kind }: Target): ReadonlyArray<string> => {
    switch (kind) {
      case "agent":
        return fusion.agents.get(identifier)?.scopes ?? []
      case "tool":
        return fusion.tools.get(identifier)?.scopes ?? []
      case "resource":
        return fusion.resources.get(identifier)?.resource.scopes ?? []
      case "prompt":
        return fusion.prompts.get(identifier)?.prompt.scopes ?? []
    }
  }

  const visibleTo = Effect.fnUntraced(function*(caller: Caller) {
    const { scopes } = yield* door.authenticate(caller)
    const may = (needed: ReadonlyArray<string>) => needed.every((scope) => Policy.holds(scopes, scope))
    const some: Fusion = {
      app: fusion.app,
      agents: keep(fusion.agents, (agent) => may(agent.scopes)),
      tools: keep(fusion.tools, (tool) => may(tool.scopes)),
      resources: keep(fusion.resources, ({ resource }) => may(resource.scopes)),
      prompts: keep(fusion.prompts, ({ prompt }) => may(prompt.scopes))
    }
    return sizeOf(some) === sizeOf(fusion) ? fusion : some
  })

  const checkScopes = Effect.fnUntraced(function*(caller: Caller, target: Target) {
    const principal = yield* door.authenticate(caller)
    yield* asRunError(Effect.tapError(
      Authorization.requireScopes(principal, scopesOf(target)),
      (reason) => door.audit(caller, principal, "call", `${target.kind}/${target.identifier}`, refusalOf(reason))
    ))
  })

  return { visibleTo, checkScopes }
}

const keep = <A>(all: ReadonlyMap<string, A>, may: (value: A) => boolean): ReadonlyMap<string, A> =>
  new Map([...all].filter(([, value]) => may(value)))

const sizeOf = ({ agents, prompts, resources, tools }: Fusion) =>
  agents.size + tools.size + resources.size + prompts.size
