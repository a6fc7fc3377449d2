// The budget store in memory, for tests and single processes. Each operation is atomic.
import { Clock, Duration, Effect } from "effect"
import type * as BudgetStore from "../BudgetStore.ts"
import { decide, rowOf, summarize } from "./budgetSums.ts"

interface Reservation {
  readonly keys: ReadonlyArray<string>
  readonly amount: number
  expiresAt: number
}

/** No operation here waits, so each one is atomic. */
export const makeMemoryBudgetStore = (): BudgetStore.BudgetStore["Service"] => {
  const counters = new Map<string, { settled: number; reserved: number }>()
  const reservations = new Map<string, Reservation>()
  const rows = new Map<string, Map<string, BudgetStore.Row>>()

  const counter = (key: string) => {
    const known = counters.get(key) ?? { settled: 0, reserved: 0 }
    counters.set(key, known)
    return known
  }

  const free = (id: string) => {
    const reservation = reservations.get(id)
    reservations.delete(id)
    for (const key of reservation?.keys ?? []) counter(key).reserved -= reservation?.amount ?? 0
    return reservation
  }

  const write = (use: BudgetStore.Use) => {
    const book = rows.get(use.tenant) ?? new Map<string, BudgetStore.Row>()
    rows.set(use.tenant, book)
    const key = JSON.stringify([use.day, use.user, use.agent, use.model])
    const known = book.get(key)
    const [sum] = summarize(
      [rowOf(use), ...(known === undefined ? [] : [known])],
      ["day", "user", "agent", "model"]
    )
    if (sum !== undefined) book.set(key, sum)
  }

  return {
    reserve: (request) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const answer = decide(request, (key) => counter(key).settled + counter(key).reserved)
        if (answer._tag === "Refused") return answer
        const keys = request.bounds.map(({ key }) => key)
        for (const key of keys) counter(key).reserved += answer.amount
        const expiresAt = now + Duration.toMillis(request.lease)
        reservations.set(request.id, { keys, amount: answer.amount, expiresAt })
        return answer
      }),
    renew: (ids, lease) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        for (const id of ids) {
          const reservation = reservations.get(id)
          if (reservation !== undefined) reservation.expiresAt = now + Duration.toMillis(lease)
        }
      }),
    settle: ({ again, id, keys, use }) =>
      Effect.sync(() => {
        const held = free(id)
        if (held === undefined && again) return
        for (const key of held?.keys ?? keys) counter(key).settled += use.cost ?? 0
        write(use)
      }),
    cancelReservation: (id) => Effect.sync(() => void free(id)),
    expire: Effect.map(Clock.currentTimeMillis, (now) => {
      const expired = [...reservations].filter(([, { expiresAt }]) => expiresAt <= now)
      for (const [id] of expired) free(id)
      return expired.length
    }),
    counters: (keys) =>
      Effect.sync(() =>
        keys.flatMap((key) => {
          const known = counters.get(key)
          return known === undefined ? [] : [{ key, ...known }]
        })
      ),
    usage: ({ by, tenant, ...query }) =>
      Effect.sync(() => summarize([...(rows.get(tenant)?.values() ?? [])].filter(matches(query)), by))
  }
}

const matches =
  ({ agent, from, model, to, user }: Omit<BudgetStore.Query, "tenant" | "by">) => (row: BudgetStore.Row) =>
    (row.day ?? "") >= from && (row.day ?? "") <= to &&
    (user === undefined || row.user === user) &&
    (agent === undefined || row.agent === agent) &&
    (model === undefined || row.model === model)
