/**
 * Budgets in Redis: one script for each operation.
 *
 * @since 0.1.0
 */
import { type Answer, BudgetStore, type Row, summarize } from "@fastagentic/core/budget/BudgetStore"
import type { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Duration, Effect, Layer, Schema } from "effect"
import type { RedisError } from "effect/persistence/Redis"
import * as Scripts from "./internal/budgetScripts.ts"
import * as RedisClient from "./RedisClient.ts"

/**
 * Budgets on a given `RedisClient`. Leases use the clock of Redis.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<BudgetStore["Service"], never, RedisClient.RedisClient> = Effect.map(
  RedisClient.RedisClient,
  ({ prefix, redis }) => {
    const ask = <S extends Schema.ConstraintCodec<unknown, unknown>>(
      operation: string,
      schema: S,
      reply: Effect.Effect<unknown, RedisError>
    ): Effect.Effect<S["Type"], StoreUnavailable> =>
      RedisClient.answered(operation, Schema.decodeUnknownEffect(schema))(reply)
    const millis = (lease: Duration.Duration) => `${Math.ceil(Duration.toMillis(lease))}`
    const [evalReserve, evalSettle, evalRelease, evalRenew, evalExpire] = [
      redis.eval(Scripts.reserve),
      redis.eval(Scripts.settle),
      redis.eval(Scripts.release),
      redis.eval(Scripts.renew),
      redis.eval(Scripts.expire)
    ]

    return BudgetStore.of({
      reserve: ({ bounds, id, lease, least, most }) => {
        const flat = bounds.flatMap(({ hard, key, soft }) => [key, `${soft ?? ""}`, `${hard}`])
        const args = [id, millis(lease), `${least}`, `${most}`, `${flat.length}`, ...flat]
        return Effect.map(
          ask("reserve", Reply, evalReserve(prefix, args)),
          ([tag, key, amount]): Answer =>
            tag === "Granted"
              ? { _tag: "Granted", amount: Number(amount), key }
              : { _tag: "Refused", key, at: tag, left: Number(amount) }
        )
      },

      renew: (ids, lease) =>
        Effect.asVoid(
          ask("renew reservations", Schema.Unknown, evalRenew(prefix, [millis(lease), `${ids.length}`, ...ids]))
        ),

      settle: ({ again, id, keys, use }) => {
        const field = JSON.stringify([use.user, use.agent, use.model])
        const counts = [
          ["calls", 1],
          ["unpriced", use.cost === undefined ? 1 : 0],
          ["inputTokens", use.inputTokens],
          ["outputTokens", use.outputTokens],
          ["cacheReadTokens", use.cacheReadTokens],
          ["cacheWriteTokens", use.cacheWriteTokens],
          ["cost", use.cost ?? 0]
        ].flatMap(([name, count]) => [`${field}${name}`, `${count}`])
        const args = [
          id,
          again ? "again" : "",
          `${use.cost ?? 0}`,
          `${keys.length}`,
          ...keys,
          JSON.stringify(use.tenant),
          use.day,
          `${counts.length}`,
          ...counts
        ]
        return Effect.asVoid(ask("settle", Schema.Unknown, evalSettle(prefix, args)))
      },

      cancelReservation: (id) => Effect.asVoid(ask("release", Schema.Unknown, evalRelease(prefix, [id]))),

      expire: Effect.suspend(() => ask("expire reservations", Schema.Int, evalExpire(prefix, []))),

      counters: (keys) =>
        Effect.map(
          Effect.forEach(
            keys,
            (key) => ask("read budgets", Fields, redis.send("HMGET", `${prefix}budget:${key}`, "settled", "reserved"))
          ),
          (replies) =>
            replies.flatMap(([settled, reserved], index) =>
              settled === null && reserved === null
                ? []
                : [{ key: keys[index] ?? "", settled: Number(settled ?? 0), reserved: Number(reserved ?? 0) }]
            )
        ),

      usage: Effect.fnUntraced(function*({ by, from, tenant, to, ...filter }) {
        const name = `${prefix}usage:${JSON.stringify(tenant)}`
        const days = yield* ask(
          "read usage",
          Texts,
          redis.send("ZRANGE", `${name}:days`, `[${from}`, `[${to}`, "BYLEX")
        )
        const rows: Array<Row> = []
        for (const day of days) {
          const texts = yield* ask("read usage", Texts, redis.send("HGETALL", `${name}:${day}`))
          rows.push(...rowsOf(day, texts))
        }
        const wanted = Object.entries(filter).filter(([, value]) => value !== undefined)
        return summarize(
          rows.filter((row) =>
            wanted.every(([field, value]) => Object.entries(row).some(([k, v]) => k === field && v === value))
          ),
          by
        )
      })
    })
  }
)

/**
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<BudgetStore, never, RedisClient.RedisClient> = Layer.effect(BudgetStore, make)

const Reply = Schema.Tuple([Schema.Literals(["Granted", "soft", "hard"]), Schema.String, Schema.String])
const Texts = Schema.Array(Schema.String)
const Fields = Schema.Array(Schema.NullOr(Schema.String))
const decodeNames = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Tuple([Schema.String, Schema.String, Schema.String]))
)

/** Reads the hash of a day: each field is the names as JSON, followed by the name of a count. */
const rowsOf = (day: string, texts: ReadonlyArray<string>): ReadonlyArray<Row> => {
  const rows = new Map<string, Record<string, number>>()
  for (let index = 0; index < texts.length; index += 2) {
    const field = texts[index] ?? ""
    const end = field.lastIndexOf("]") + 1
    const counts = rows.get(field.slice(0, end)) ?? {}
    counts[field.slice(end)] = Number(texts[index + 1])
    rows.set(field.slice(0, end), counts)
  }
  return Array.from(rows, ([names, counts]) => {
    const [user, agent, model] = decodeNames(names)
    return { ...nothing, ...counts, day, user, agent, model }
  })
}

const nothing = {
  calls: 0,
  unpriced: 0,
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  cost: 0
}
