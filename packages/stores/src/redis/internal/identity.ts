// The identity of the run store of a Redis, for stores that keep facts in its outbox. The run store gives it itself.
import type { StoreUnavailable } from "@fastagentic/core/run/RunError"
import type { Effect } from "effect"
import type { RedisClient } from "../RedisClient.ts"
import * as Reads from "./reads.ts"

/** An empty text before there is a run store. */
export const identityOf = (
  { prefix, redis }: Pick<RedisClient["Service"], "prefix" | "redis">
): Effect.Effect<string, StoreUnavailable> =>
  Reads.answer("identity of the store", (reply) => String(reply ?? ""))(redis.send("GET", `${prefix}identity`))
