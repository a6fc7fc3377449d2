// The audit log in memory, for tests and for apps without a store.
import { Effect } from "effect"
import type { Append, AuditLog, ChainHead, Head, Link, SubjectKey } from "../AuditLog.ts"

interface Trail {
  place: ChainHead
  links: Array<Link>
  /** The number of the entry of each fact. */
  facts: Map<string, number>
  heads: Array<Head>
  keys: Array<SubjectKey>
}

export const makeMemoryAuditLog = (): AuditLog["Service"] => {
  const chains = new Map<string, Trail>()
  const place: ChainHead = { seq: 0, hash: "0".repeat(64) }
  const none = (): Trail => ({ place, links: [], facts: new Map(), heads: [], keys: [] })
  const read = <A>(tenant: string, use: (chain: Trail) => A) => Effect.sync(() => use(chains.get(tenant) ?? none()))
  const change = (tenant: string, use: (chain: Trail) => void) =>
    Effect.sync(() => {
      const chain = chains.get(tenant) ?? none()
      chains.set(tenant, chain)
      use(chain)
    })

  const append = ({ after, keys, links, tenant }: Append) =>
    Effect.map(
      change(tenant, (chain) => {
        if (chain.place.seq !== after.seq || chain.place.hash !== after.hash) return
        if (links.some(({ fact }) => fact !== undefined && chain.facts.has(fact))) return
        const { hash, seq } = links.at(-1) ?? after
        for (const { fact, ...link } of links) {
          chain.links.push(link)
          if (fact !== undefined) chain.facts.set(fact, link.seq)
        }
        chain.keys.push(...keys)
        chain.place = { seq, hash }
      }),
      () => chains.get(tenant)?.place ?? place
    )

  return {
    append: (appends) => Effect.forEach(appends, append),
    entered: (tenant, facts) => read(tenant, (chain) => facts.filter((fact) => chain.facts.has(fact))),
    chainHead: (tenant) => read(tenant, (chain) => chain.place),
    links: ({ after, before, limit, order, tenant }) =>
      read(tenant, ({ links }) => {
        const found = links.filter(({ seq }) => seq > after && seq < before)
        return (order === "oldest" ? found : found.reverse()).slice(0, limit)
      }),
    tenants: Effect.sync(() => [...chains.keys()].sort()),
    heads: (tenant) => read(tenant, ({ heads }) => [...heads].sort((a, b) => a.seq - b.seq)),
    addHead: (tenant, head) => change(tenant, ({ heads }) => void heads.push(head)),
    cut: (tenant, head, keysBefore) =>
      change(tenant, (chain) => {
        chain.links = chain.links.filter(({ seq }) => seq > head.seq)
        chain.facts = new Map([...chain.facts].filter(([, seq]) => seq > head.seq))
        chain.heads = [...chain.heads.filter(({ seq }) => seq >= head.seq), head]
        chain.keys = chain.keys.filter(({ createdAt }) => createdAt >= keysBefore)
      }),
    keys: (tenant, ids) => read(tenant, ({ keys }) => keys.filter(({ id }) => ids.includes(id))),
    keysOf: (tenant, subject) => read(tenant, ({ keys }) => keys.filter((key) => key.subject === subject)),
    destroyKeys: (tenant, subject) =>
      change(tenant, (chain) => {
        chain.keys = chain.keys.filter((key) => key.subject !== subject)
      })
  }
}
