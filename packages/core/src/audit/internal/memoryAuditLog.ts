import { Effect } from "effect"
import type { Append, AuditLog, ChainHead, Head, Link, SubjectKey } from "../AuditLog.ts"

interface Trail {
  place: ChainHead
  links: Array<Link>
  heads: Array<Head>
  keys: Array<SubjectKey>
}

export const makeMemoryAuditLog = (): AuditLog["Service"] => {
  const trails = new Map<string, Trail>()
  const place: ChainHead = { seq: 0, hash: "0".repeat(64) }
  const none = (): Trail => ({ place, links: [], heads: [], keys: [] })
  const read = <A>(tenant: string, use: (trail: Trail) => A) => Effect.sync(() => use(trails.get(tenant) ?? none()))
  const change = (tenant: string, use: (trail: Trail) => void) =>
    Effect.sync(() => {
      const trail = trails.get(tenant) ?? none()
      trails.set(tenant, trail)
      use(trail)
    })

  const append = ({ after, keys, links, tenant }: Append) =>
    Effect.map(
      change(tenant, (trail) => {
        if (trail.place.seq !== after.seq || trail.place.hash !== after.hash) return
        const { hash, seq } = links.at(-1) ?? after
        trail.links.push(...links)
        trail.keys.push(...keys)
        trail.place = { seq, hash }
      }),
      () => trails.get(tenant)?.place ?? place
    )

  return {
    append: (appends) => Effect.forEach(appends, append),
    place: (tenant) => read(tenant, (trail) => trail.place),
    links: ({ after, before, limit, order, tenant }) =>
      read(tenant, ({ links }) => {
        const found = links.filter(({ seq }) => seq > after && seq < before)
        return (order === "oldest" ? found : found.reverse()).slice(0, limit)
      }),
    tenants: Effect.sync(() => [...trails.keys()].sort()),
    heads: (tenant) => read(tenant, ({ heads }) => [...heads].sort((a, b) => a.seq - b.seq)),
    addHead: (tenant, head) => change(tenant, ({ heads }) => void heads.push(head)),
    cut: (tenant, head, keysBefore) =>
      change(tenant, (trail) => {
        trail.links = trail.links.filter(({ seq }) => seq > head.seq)
        trail.heads = [...trail.heads.filter(({ seq }) => seq >= head.seq), head]
        trail.keys = trail.keys.filter(({ createdAt }) => createdAt >= keysBefore)
      }),
    keys: (tenant, ids) => read(tenant, ({ keys }) => keys.filter(({ id }) => ids.includes(id))),
    keysOf: (tenant, subject) => read(tenant, ({ keys }) => keys.filter((key) => key.subject === subject)),
    destroyKeys: (tenant, subject) =>
      change(tenant, (trail) => {
        trail.keys = trail.keys.filter((key) => key.subject !== subject)
      })
  }
}
