// The abilities that a client declares. Before 2026-07-28 the id of its session holds them, so that every node knows them.
import type { Ability } from "@fastagentic/core/run/ClientRequest"
import { Predicate } from "effect"

export interface Abilities extends Readonly<Record<Ability, boolean>> {
  /** Whether its model can be offered tools. */
  readonly samplingTools: boolean
}

const none: Abilities = { elicitation: false, url: false, sampling: false, samplingTools: false, roots: false }

export const all: Abilities = {
  elicitation: true,
  url: true,
  sampling: true,
  samplingTools: true,
  roots: true
}

/** A client that names no mode of elicitation shows forms. */
export const fromCapabilities = (capabilities: unknown): Abilities => {
  const { elicitation, roots, sampling } = fieldsOf(capabilities)
  return {
    elicitation: Predicate.isObject(elicitation) && ("form" in elicitation || !("url" in elicitation)),
    url: Predicate.isObject(elicitation) && "url" in elicitation,
    sampling: Predicate.isObject(sampling),
    samplingTools: Predicate.isObject(fieldsOf(sampling)["tools"]),
    roots: Predicate.isObject(roots)
  }
}

const fieldsOf = (value: unknown): { readonly [key: string]: unknown } => Predicate.isObject(value) ? { ...value } : {}

const letters = { elicitation: "e", url: "u", sampling: "s", samplingTools: "t", roots: "r" } as const
const names = ["elicitation", "url", "sampling", "samplingTools", "roots"] as const

/** The end of the id of a session. */
export const toSuffix = (abilities: Abilities): string =>
  `.${names.flatMap((name) => abilities[name] ? [letters[name]] : []).join("")}`

export const fromSession = (session: string | undefined): Abilities => {
  const suffix = session?.slice(session.lastIndexOf(".") + 1) ?? ""
  if (session === undefined || suffix === session) return none
  return {
    elicitation: suffix.includes(letters.elicitation),
    url: suffix.includes(letters.url),
    sampling: suffix.includes(letters.sampling),
    samplingTools: suffix.includes(letters.samplingTools),
    roots: suffix.includes(letters.roots)
  }
}
