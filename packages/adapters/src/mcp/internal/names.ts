// The names by which models know remote tools: those that every provider accepts, under the prefix of their server. tools.ts
// gives them once the definitions are known.
import { createHash } from "node:crypto"

const longest = 64

/** The name of a remote tool for models. Another remote name may lead to the same one, which the caller refuses. */
export const nameFor = (prefix: string, name: string): string => {
  const whole = `${prefix}${name}`.replaceAll(/[^A-Za-z0-9_-]/gu, "_")
  if (whole.length <= longest) return whole
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 8)
  return `${whole.slice(0, longest - digest.length - 1)}_${digest}`
}

/** The names that several tools have, each with those tools. */
export const collisions = (
  named: ReadonlyArray<{ readonly name: string; readonly of: string }>
): ReadonlyArray<string> => {
  const owners = new Map<string, Array<string>>()
  for (const { name, of } of named) owners.set(name, [...owners.get(name) ?? [], of])
  return [...owners].flatMap(([name, all]) => all.length > 1 ? [`${name} (${all.join(" and ")})`] : [])
}
