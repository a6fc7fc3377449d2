// The budget of a process: reserves before each model call, renews, settles after it. Spending never passes a hard limit.
import { Clock, Duration, Effect, Schedule, type Scope } from "effect"
import { checkUsage, type Usage } from "../../run/Event.ts"
import { BudgetExceeded, OutputUnlimited, type PriceUnknown } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { Budget, Grant, Limit, ModelRequest, Refusal, RunContext } from "../Budget.ts"
import type { Answer, BudgetStore, Settlement, Use } from "../BudgetStore.ts"
import type { Prices } from "../Prices.ts"
import { boundOf, dayOf, type Held, limitsForPrincipal, limitsForRun } from "./budgetBounds.ts"
import { toMicros, toUsd } from "./money.ts"

/** A call whose answer would be shorter than this is not made. */
const leastOutputTokens = 256

interface Options {
  readonly limits: ReadonlyArray<Limit>
  readonly maxOutputTokens: number
  readonly lease: Duration.Duration
  readonly trustZeroCost: boolean
  readonly store: BudgetStore["Service"]
  readonly prices: Prices["Service"]
}

/** A reservation of this process; `owed` is the amount not yet reported to the store. */
interface Open {
  readonly runId: string
  owed?: Settlement
}

interface Candidate {
  readonly model: string
  readonly provider: string | undefined
}

/** The budget of a process: it reserves, renews reservations and settles them. */
export const makeBudgetService = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<Budget["Service"], never, Scope.Scope> {
  const { lease, limits, prices, store } = options
  const open = new Map<string, Open>()

  const tick = Effect.gen(function*() {
    const held = [...open].flatMap(([id, { owed }]) => owed === undefined ? [id] : [])
    if (held.length > 0) yield* store.renew(held, lease)
    for (const [id, { owed }] of open) {
      if (owed === undefined) continue
      yield* store.settle(owed)
      open.delete(id)
    }
    yield* store.expire
  }).pipe(Effect.catch((error) => Effect.logWarning("Budgets cannot be kept up to date", error)))
  yield* tick.pipe(Effect.repeat(Schedule.spaced(Duration.divideUnsafe(lease, 3))), Effect.forkScoped)

  const settle = Effect.fnUntraced(function*(settlement: Settlement, runId: string) {
    const reported = yield* Effect.exit(store.settle(settlement))
    if (reported._tag === "Success") return void open.delete(settlement.id)
    open.set(settlement.id, { runId, owed: { ...settlement, again: true } })
    yield* Effect.logWarning("The cost of a call could not be written down yet", reported.cause)
  }, Effect.uninterruptible)

  const release = (id: string) =>
    Effect.suspend(() => {
      if (open.get(id)?.owed !== undefined || !open.delete(id)) return Effect.void
      return Effect.catch(
        store.cancelReservation(id),
        (error) => Effect.logWarning("A reservation stays until its lease is over", error)
      )
    }).pipe(Effect.uninterruptible)

  const useOf = (
    { agent, owner, tenant }: RunRecord,
    model: string,
    usage: Usage,
    cost: number | undefined,
    now: number
  ): Use => ({
    day: dayOf(now),
    tenant,
    user: owner,
    agent,
    model,
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    cacheReadTokens: usage.cacheReadTokens ?? 0,
    cacheWriteTokens: usage.cacheWriteTokens ?? 0,
    cost
  })

  const grantOf = (record: RunRecord, candidate: Candidate, held: ReadonlyArray<Held>, granted: {
    readonly id: string
    readonly maxOutputTokens: number | undefined
    readonly amount: number | undefined
  }): Grant => {
    const { amount, id, maxOutputTokens } = granted
    const keys = held.map(({ key }) => key)
    let finished = false
    const finish = Effect.fnUntraced(function*(reported: Usage | undefined) {
      const usage = reported === undefined ? undefined : checkUsage(reported)
      if (usage === undefined && amount === undefined) return undefined
      const costUsd = usage === undefined ? toUsd(amount ?? 0) : claimedCost(usage) ?? (yield* priced(candidate, usage))
      const cost = costUsd === undefined ? amount : toMicros(costUsd)
      const { model } = candidate
      if (cost !== undefined && amount !== undefined && cost > amount) {
        yield* Effect.logWarning("A call has cost more than was reserved for it").pipe(
          Effect.annotateLogs({ runId: record.runId, model, reservedUsd: toUsd(amount), costUsd: toUsd(cost) })
        )
      }
      const counted = usage ?? { inputTokens: 0, outputTokens: 0 }
      const use = useOf(record, model, counted, cost, yield* Clock.currentTimeMillis)
      yield* settle({ id, keys, use, again: false }, record.runId)
      return cost === undefined ? usage : { ...counted, costUsd: toUsd(cost) }
    })
    const once = <A>(effect: Effect.Effect<A>, otherwise: A) =>
      Effect.suspend(() => {
        if (finished) return Effect.succeed(otherwise)
        finished = true
        return effect
      })
    return {
      model: candidate.model,
      maxOutputTokens,
      settle: (usage) => once<Usage | undefined>(finish(usage), usage),
      cancelReservation: once(release(id), undefined)
    }
  }

  const claimedCost = ({ costUsd }: Usage) => costUsd === 0 && !options.trustZeroCost ? undefined : costUsd

  const priced = ({ model, provider }: Candidate, usage: Usage) =>
    Effect.orElseSucceed(prices.costUsd({ model, provider }, usage), () => undefined)

  /** The highest possible cost of a call: the provider's cache writes are unknown before it. */
  const ceiling =
    (candidate: Candidate, inputTokens: number) => (outputTokens: number): Effect.Effect<number, PriceUnknown> =>
      Effect.map(
        Effect.all([
          prices.costUsd(candidate, { inputTokens, outputTokens }),
          prices.costUsd(candidate, { inputTokens, outputTokens, cacheWriteTokens: inputTokens })
        ]),
        (costs) => toMicros(Math.max(...costs))
      )

  const raisesOf = (spender: RunContext, limit: Limit) => {
    let raises = 0
    for (const { kind, name, resolution, tool } of spender.earlier()) {
      const isOurs = kind === "approval" && tool === undefined && isAbout(name, interruptOf(limit))
      if (isOurs && (resolution?.decision === "approve" || resolution?.decision === "edit")) raises++
    }
    return raises
  }

  /** Looks again once whatever a dead process had reserved is free. */
  const reserve = Effect.fnUntraced(function*(request: Parameters<typeof store.reserve>[0], runId: string) {
    const attempt = Effect.tap(store.reserve(request), (answer) =>
      Effect.sync(() => {
        if (answer._tag === "Granted") open.set(request.id, { runId })
      })).pipe(Effect.uninterruptible)
    const answer = yield* attempt
    if (answer._tag === "Granted" || answer.at === "soft") return answer
    return (yield* store.expire) > 0 ? yield* attempt : answer
  })

  const spend = Effect.fnUntraced(function*(
    spender: RunContext,
    request: ModelRequest
  ): Effect.fn.Return<Grant, Refusal> {
    const { record, tell } = spender
    const { callId } = request
    const held = limitsForRun(limits, record, yield* Clock.currentTimeMillis)
    let candidate: Candidate = { model: request.model, provider: request.provider }
    const id = globalThis.crypto.randomUUID()
    if (held.length === 0) {
      return grantOf(record, candidate, held, { id, maxOutputTokens: request.maxOutputTokens, amount: undefined })
    }
    const most = request.maxOutputTokens ?? (request.clamps ? options.maxOutputTokens : undefined)
    if (most === undefined) return yield* new OutputUnlimited({ model: request.model })
    const least = request.clamps ? Math.min(most, leastOutputTokens) : most
    const tried = new Set([candidate.model])
    const softened = new Set<Limit>()

    /** The next cheaper model that a limit names and the agent can call. */
    const cheaper = Effect.fnUntraced(function*({ limit }: Held) {
      const to = limit.atSoft?.[candidate.model]
      if (to === undefined || tried.has(to) || !request.changesTo(to)) return false
      yield* tell({
        type: "budget",
        data: { budget: limit.name, decision: "downgrade", callId, model: candidate.model, to }
      })
      tried.add(to)
      candidate = { model: to, provider: undefined }
      return true
    })

    while (true) {
      const costOf = ceiling(candidate, request.inputTokens)
      const [atLeast, atMost] = yield* Effect.all([costOf(least), costOf(most)])
      const bounds = held.map((one) => boundOf(one, raisesOf(spender, one.limit), !softened.has(one.limit)))
      const answer: Answer = yield* reserve({ id, bounds, lease, least: atLeast, most: atMost }, record.runId)
      const at = held.find(({ key }) => key === answer.key)
      if (at === undefined) return yield* Effect.die(new Error("a budget that was not asked has answered"))
      const fields = { budget: at.limit.name, callId, model: candidate.model }
      if (answer._tag === "Granted") {
        const payable = answer.amount >= atMost ? most : yield* longest(costOf, least, most, answer.amount)
        if (payable < most) {
          yield* tell({ type: "budget", data: { ...fields, decision: "clamp", maxOutputTokens: payable } })
        }
        return grantOf(record, candidate, held, { id, maxOutputTokens: payable, amount: answer.amount })
      }
      if (answer.at === "soft") {
        softened.add(at.limit)
        if (!(yield* cheaper(at))) yield* tell({ type: "budget", data: { ...fields, decision: "soft" } })
        continue
      }
      if (yield* cheaper(at)) continue
      const resolution = at.limit.atHard === "suspend" ? yield* ask(spender, at.limit, candidate.model) : undefined
      if (resolution?.decision === "approve" || resolution?.decision === "edit") continue
      yield* tell({ type: "budget", data: { ...fields, decision: "refuse" } })
      return yield* new BudgetExceeded({ budget: at.limit.name })
    }
  })

  return {
    check: limits.length === 0 ? () => Effect.void : Effect.fnUntraced(function*(run) {
      if (run.kind !== "agent") return
      const held = limitsForRun(limits, run, yield* Clock.currentTimeMillis).filter(({ limit }) =>
        limit.atHard !== "suspend"
      )
      if (held.length === 0) return
      const counters = yield* Effect.orElseSucceed(store.counters(held.map(({ key }) => key)), () => [])
      const full = held.find(({ key, limit }) =>
        counters.some((counter) => counter.key === key && counter.settled >= toMicros(limit.hard))
      )
      if (full !== undefined) return yield* new BudgetExceeded({ budget: full.limit.name })
    }),
    releaseAll: ({ runId }) =>
      Effect.suspend(() =>
        open.size === 0 ? Effect.void : Effect.forEach(
          [...open].filter(([, one]) => one.runId === runId),
          ([id]) => release(id),
          { discard: true }
        )
      ),
    limits,
    spend,
    contextWindow: prices.contextWindow,
    usage: store.usage,
    standings: Effect.fnUntraced(function*(principal) {
      const held = limitsForPrincipal(limits, principal, yield* Clock.currentTimeMillis)
      if (held.length === 0) return []
      const counters = yield* store.counters(held.map(({ key }) => key))
      return held.map(({ key, limit }) => {
        const { reserved = 0, settled = 0 } = counters.find((counter) => counter.key === key) ?? {}
        return {
          name: limit.name,
          period: limit.period,
          ...(limit.soft === undefined ? {} : { softUsd: limit.soft }),
          hardUsd: limit.hard,
          settledUsd: toUsd(settled),
          reservedUsd: toUsd(reserved)
        }
      })
    })
  }
})

const interruptOf = ({ name }: Limit) => `budget ${name}`

/** Whether an interrupt was asked under this name, in whatever step or branch, and however often. */
const isAbout = (key: string, name: string) => {
  const plain = key.replace(/#\d+$/u, "")
  return plain === name || plain.endsWith(` › ${name}`) || plain.endsWith(`/${name}`)
}

const ask = ({ interrupt }: RunContext, limit: Limit, model: string) =>
  interrupt({
    name: interruptOf(limit),
    kind: "approval",
    message: `the budget "${limit.name}" is used up: approve to spend up to $${limit.hard} more in this run`,
    arguments: { budget: limit.name, model, hardUsd: limit.hard },
    approvers: { scopes: limit.raise?.scopes ?? ["budgets:raise"], notRequester: limit.raise?.requester !== true }
  })

/** The longest answer that an amount pays for. */
const longest = Effect.fnUntraced(function*<E>(
  costOf: (outputTokens: number) => Effect.Effect<number, E>,
  least: number,
  most: number,
  amount: number
) {
  let [low, high] = [least, most]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((yield* costOf(middle)) <= amount) low = middle
    else high = middle - 1
  }
  return low
})
