export * as Redis from "./Redis.ts"
export * as RedisAudit from "./RedisAudit.ts"
export * as RedisClient from "./RedisClient.ts"
export * as RedisRunStore from "./RedisRunStore.ts"
