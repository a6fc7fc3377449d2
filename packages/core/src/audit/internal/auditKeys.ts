// Finds the keys that open a list of audit links; reads and verification use it.
import { Effect } from "effect"
import type { AuditLog, Link } from "../AuditLog.ts"

/** The ids of the keys that sealed these links; an unreadable link has none. */
export const keyIdsIn = (links: ReadonlyArray<Link>): ReadonlySet<string> =>
  new Set(links.flatMap(({ body }) => /"key":"([0-9a-f]{16})","sealed":"[^"]*"\}$/u.exec(body)?.[1] ?? []))

/** The keys that open these links, as far as there are any. */
export const keysIn = (log: AuditLog["Service"], tenant: string, links: ReadonlyArray<Link>) => {
  const ids = [...keyIdsIn(links)]
  return Effect.map(
    ids.length === 0 ? Effect.succeed([]) : log.keys(tenant, ids),
    (keys) => new Map(keys.map((key) => [key.id, key]))
  )
}
