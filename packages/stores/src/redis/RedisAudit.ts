/**
 * The audit log in Redis: one stream for each tenant, whose ids are the numbers of the entries.
 *
 * @since 0.1.0
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import type { Audit } from "@fastagentic/core/audit/Audit"
import * as AuditChain from "@fastagentic/core/audit/AuditChain"
import { AuditLog, genesis, Head, SubjectKey } from "@fastagentic/core/audit/AuditLog"
import type { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { type Config, Effect, Layer, Schema } from "effect"
import type { RedisError } from "effect/persistence/Redis"
import { append, cut, destroyKeys, keysOf } from "./internal/auditScripts.ts"
import * as RedisClient from "./RedisClient.ts"

/**
 * A log on a given `RedisClient`. Each tenant's append is one script. It appends only if the chain still ends
 * where the writer read it, so that exactly one of several nodes succeeds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLog: Effect.Effect<AuditLog["Service"], never, RedisClient.RedisClient> = Effect.map(
  RedisClient.RedisClient,
  ({ prefix, redis }) => {
    const named = (what: string, tenant: string) => `${prefix}audit:${what}:${JSON.stringify(tenant)}`
    const chains = `${prefix}audit:chains`
    const evalAppend = redis.eval(append)

    const ask = <A>(
      operation: string,
      asked: Effect.Effect<unknown, RedisError>,
      decode: (reply: unknown) => Effect.Effect<A, Schema.SchemaError>
    ): Effect.Effect<A, StoreUnavailable> => RedisClient.answered(`audit: ${operation}`, decode)(asked)
    const run = (operation: string, asked: Effect.Effect<unknown, RedisError>) =>
      ask(operation, asked, () => Effect.void)

    return AuditLog.of({
      append: (appends) =>
        Effect.forEach(appends, ({ after, keys, links, tenant }) => {
          const last = links.at(-1) ?? after
          const args = [
            JSON.stringify(tenant),
            textOf(after),
            textOf(last),
            `${links.length}`,
            ...links.flatMap(({ body, fact = "", hash, seq }) => [`${seq}-0`, hash, body, fact]),
            ...keys.flatMap((key) => [JSON.stringify(key.subject), key.id, JSON.stringify(key)])
          ]
          return ask("append", evalAppend(prefix, args), decodeHead)
        }, { concurrency: "unbounded" }),
      entered: (tenant, facts) =>
        ask(
          "entered facts",
          redis.send("SMISMEMBER", named("facts", tenant), ...facts),
          (reply) => Effect.map(decodeFlags(reply), (flags) => facts.filter((_, index) => flags[index] === 1))
        ),
      chainHead: (tenant) => ask("place", redis.send("HGET", chains, JSON.stringify(tenant)), decodeHead),
      links: ({ after, before, limit, order, tenant }) => {
        const [low, high] = [`(${after}-18446744073709551615`, `(${before}-0`]
        const range = order === "oldest" ? ["XRANGE", low, high] as const : ["XREVRANGE", high, low] as const
        const [command, from, to] = range
        return ask(
          "links",
          redis.send(command, named("trail", tenant), from, to, "COUNT", `${limit}`),
          (reply) =>
            Effect.map(
              decodeEntries(reply),
              (entries) =>
                entries.map(([id, [, hash = "", , body = ""]]) => ({ seq: Number(id.split("-")[0]), hash, body }))
            )
        )
      },
      tenants: ask(
        "tenants",
        redis.send("HKEYS", chains),
        (reply) => Effect.map(decodeNames(reply), (names) => [...names].sort())
      ),
      heads: (tenant) =>
        ask(
          "heads",
          redis.send("LRANGE", named("heads", tenant), "0", "-1"),
          (reply) => Effect.map(decodeHeads(reply), (heads) => [...heads].sort((a, b) => a.seq - b.seq))
        ),
      addHead: (tenant, head) => run("add a head", redis.send("RPUSH", named("heads", tenant), JSON.stringify(head))),
      cut: (tenant, head, keysBefore) =>
        run(
          "cut",
          redis.eval(cut)(prefix, [JSON.stringify(tenant), `${head.seq}`, JSON.stringify(head), `${keysBefore}`])
        ),
      keys: (tenant, ids) =>
        ask(
          "keys",
          redis.send("HMGET", named("keys", tenant), ...ids),
          (reply) => Effect.map(decodeKeys(reply), (keys) => keys.filter((key) => key !== null))
        ),
      keysOf: (tenant, subject) =>
        ask(
          "keys of a principal",
          redis.eval(keysOf)(prefix, [JSON.stringify(tenant), JSON.stringify(subject)]),
          (reply) => Effect.map(decodeKeys(reply), (keys) => keys.filter((key) => key !== null))
        ),
      destroyKeys: (tenant, subject) =>
        run("destroy keys", redis.eval(destroyKeys)(prefix, [JSON.stringify(tenant), JSON.stringify(subject)]))
    })
  }
)

/**
 * @category layers
 * @since 0.1.0
 */
export const layerLog: Layer.Layer<AuditLog, never, RedisClient.RedisClient> = Layer.effect(AuditLog, makeLog)

/**
 * The audit service and its log on a given `RedisClient`.
 *
 * **Gotchas**
 *
 * An entry that cannot be written is a defect that the runtime logs, because the action itself has already happened.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<Audit | AuditLog, Config.ConfigError, RedisClient.RedisClient> = AuditChain
  .layer.pipe(
    Layer.provideMerge(layerLog),
    Layer.provide(NodeCrypto.layer)
  )

const textOf = ({ hash, seq }: { readonly seq: number; readonly hash: string }) => `${seq} ${hash}`

const decodeHead = (reply: unknown) =>
  reply === null ? Effect.succeed(genesis) : Effect.map(decodeText(reply), (text) => {
    const [seq = "", hash = ""] = text.split(" ")
    return { seq: Number(seq), hash }
  })

const decodeText = Schema.decodeUnknownEffect(Schema.String)
const decodeEntries = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Tuple([Schema.String, Schema.Array(Schema.String)]))
)
const decodeFlags = Schema.decodeUnknownEffect(Schema.Array(Schema.Int))
const decodeNames = Schema.decodeUnknownEffect(Schema.Array(Schema.fromJsonString(Schema.String)))
const decodeHeads = Schema.decodeUnknownEffect(Schema.Array(Schema.fromJsonString(Head)))
const decodeKeys = Schema.decodeUnknownEffect(Schema.Array(Schema.NullOr(Schema.fromJsonString(SubjectKey))))
