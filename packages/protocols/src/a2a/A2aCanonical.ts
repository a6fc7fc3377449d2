// The text of a card that its signatures cover: its JSON by RFC 8785, without signatures and without fields that are not set.
// The specification and the official SDKs differ on what is not set, so there are two texts; CardSigner signs both.
import { Predicate } from "effect"

/** Objects with their keys in order, without whitespace. */
export const jcs = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(jcs).join(",")}]`
  if (!Predicate.isObject(value)) return JSON.stringify(value ?? null)
  const entries = Object.entries(value).filter(([, part]) => part !== undefined)
  return `{${
    entries.sort(([a], [b]) => a < b ? -1 : 1).map(([key, part]) => `${JSON.stringify(key)}:${jcs(part)}`).join(",")
  }}`
}

/** The texts of a card, of which a signature covers one. */
export const textsOf = (card: object): ReadonlyArray<string> => {
  const { signatures: _signatures, ...signed }: Record<string, unknown> = { ...card }
  return [...new Set([jcs(withoutDefaults(signed)), jcs(withoutEmpty(signed) ?? {})])]
}

/** By the presence of fields in protocol buffers: a list of scopes that is empty is the only default that a card holds. */
const withoutDefaults = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutDefaults)
  if (!Predicate.isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).filter(([key, part]) => !(key === "list" && Array.isArray(part) && part.length === 0))
      .map(([key, part]) => [key, key === "params" ? part : withoutDefaults(part)])
  )
}

/** As the SDKs do it: nothing that is empty, at any depth. */
const withoutEmpty = (value: unknown): unknown => {
  if (value === "" || value === null) return undefined
  if (Array.isArray(value)) {
    const parts = value.map(withoutEmpty).filter((part) => part !== undefined)
    return parts.length === 0 ? undefined : parts
  }
  if (!Predicate.isObject(value)) return value
  const entries = Object.entries(value).map(([key, part]) => [key, withoutEmpty(part)] as const)
    .filter(([, part]) => part !== undefined)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}
