// The Lua script of rate limits; `RedisRateCounters` calls it.
import * as Redis from "effect/persistence/Redis"

/** The decision of core's `decide` in Redis: all counters of a call or none, by the clock of Redis. */
export const takeRates = Redis.script(
  (prefix: string, counters: ReadonlyArray<string>) => [prefix, ...counters],
  {
    numberOfKeys: 0,
    lua: `
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
  local every = true
  local counters = {}
  for first = 2, #ARGV, 4 do
    local one = {
      key = ARGV[1] .. 'rate:' .. ARGV[first],
      limit = tonumber(ARGV[first + 1]),
      window = tonumber(ARGV[first + 2]),
      fixed = ARGV[first + 3] == 'fixed-window'
    }
    local stored = redis.call('HMGET', one.key, 'used', 'since')
    one.used, one.since = tonumber(stored[1] or 0), tonumber(stored[2] or 0)
    local ends = one.since + (one.fixed and one.window or one.used * one.window / one.limit)
    if ends <= now then
      one.used, one.since = 0, now
    elseif not one.fixed then
      one.used = math.max(0, one.used - math.max(0, now - one.since) * one.limit / one.window)
      one.since = math.max(now, one.since)
    end
    one.room = one.used + 1 <= one.limit + 1e-6
    every = every and one.room
    counters[#counters + 1] = one
  end

  local function number(value) return string.format('%.17g', value) end

  local taken = {}
  for _, one in ipairs(counters) do
    if every then one.used = one.used + 1 end
    local left = one.since + (one.fixed and one.window or one.used * one.window / one.limit) - now
    if one.used == 0 or left < 0 then left = 0 end
    if every then
      redis.call('HSET', one.key, 'used', number(one.used), 'since', number(one.since))
      redis.call('PEXPIRE', one.key, string.format('%d', math.max(1, math.ceil(left))))
    end
    taken[#taken + 1] = { one.room and '1' or '0', number(one.used), number(left) }
  end
  return taken
`
  }
).withReturnType<unknown>()
