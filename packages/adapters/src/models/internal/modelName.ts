// Reads a model's name: which provider it means, and the name that the provider knows.
import { providers } from "./providers.ts"

export interface Resolved {
  /** One of `providers`, or `server`: the one at the base URL of OpenAI. */
  readonly provider: string
  readonly model: string
}

/** The provider of a name that is sent as it is. */
export const server = "server"

const isProvider = (name: string): boolean => Object.hasOwn(providers, name)

/** Whether a name stops at its provider, or has a half that is empty. */
export const isHalf = (name: string): boolean => isProvider(name) || /^:|^[^:]*:$/u.test(name)

/** Splits at the first separator. */
const split = (name: string, separator: string): readonly [head: string, rest: string] | undefined => {
  const at = name.indexOf(separator)
  return at <= 0 || at === name.length - 1 ? undefined : [name.slice(0, at), name.slice(at + 1)]
}

/** `provider:model`, a name for the server at `OPENAI_BASE_URL`, `provider/model`, or a model of OpenAI. */
export const resolve = (name: string, hasServer: boolean): Resolved | undefined => {
  const [head, rest] = split(name, ":") ?? []
  if (head !== undefined && rest !== undefined && isProvider(head)) return { provider: head, model: rest }
  if (hasServer) return { provider: server, model: name }
  const [first, model] = split(name, "/") ?? []
  if (first !== undefined && model !== undefined) {
    return isProvider(first) ? { provider: first, model } : undefined
  }
  return head === undefined && name !== "" && !isHalf(name) ? { provider: "openai", model: name } : undefined
}
