// Lua scripts of budgets; `RedisBudgetStore` calls them.
import { prelude as reading, script } from "./script.ts"

/** A reservation is a hash `reservation:<id>` and a member of `reservations`, ordered by the end of its lease. */
const prelude = `${reading}
  local function number(value) return string.format('%.0f', value) end

  local function now()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
  end

  local function free(id)
    local name = prefix .. 'reservation:' .. id
    local amount = redis.call('HGET', name, 'amount')
    if not amount then return nil end
    local keys = cjson.decode(redis.call('HGET', name, 'keys'))
    redis.call('DEL', name)
    redis.call('ZREM', prefix .. 'reservations', id)
    -- Not -amount, because Redis refuses -0.
    for _, key in ipairs(keys) do redis.call('HINCRBY', prefix .. 'budget:' .. key, 'reserved', number(0 - amount)) end
    return keys
  end
`

/** Returns the first bound that refuses, or the granted amount. */
export const reserve = script(`${prelude}
  local id, lease, least, most, bounds = take(), tonumber(take()), tonumber(take()), tonumber(take()), many()
  local amount, binding, keys = most, bounds[1] or '', {}
  for one = 1, #bounds, 3 do
    local key, soft, hard = bounds[one], bounds[one + 1], tonumber(bounds[one + 2])
    local stored = redis.call('HMGET', prefix .. 'budget:' .. key, 'settled', 'reserved')
    local used = tonumber(stored[1] or 0) + tonumber(stored[2] or 0)
    local left = hard - used
    if soft ~= '' and used >= tonumber(soft) then return { 'soft', key, number(left) } end
    if left < least then return { 'hard', key, number(left) } end
    if left < amount then amount, binding = left, key end
    keys[#keys + 1] = key
  end
  redis.call('HSET', prefix .. 'reservation:' .. id, 'amount', number(amount), 'keys', #keys == 0 and '[]' or cjson.encode(keys))
  redis.call('ZADD', prefix .. 'reservations', number(now() + lease), id)
  for _, key in ipairs(keys) do redis.call('HINCRBY', prefix .. 'budget:' .. key, 'reserved', number(amount)) end
  return { 'Granted', binding, number(amount) }
`)

export const renew = script(`${prelude}
  local ends = number(now() + tonumber(take()))
  for _, id in ipairs(many()) do redis.call('ZADD', prefix .. 'reservations', 'XX', ends, id) end
  return 0
`)

export const settle = script(`${prelude}
  local id, again, cost, keys, tenant, day, counts = take(), take(), take(), many(), take(), take(), many()
  local held = free(id)
  if not held and again ~= '' then return 0 end
  for _, key in ipairs(held or keys) do redis.call('HINCRBY', prefix .. 'budget:' .. key, 'settled', cost) end
  local name = prefix .. 'usage:' .. tenant
  redis.call('ZADD', name .. ':days', 0, day)
  for one = 1, #counts, 2 do redis.call('HINCRBY', name .. ':' .. day, counts[one], counts[one + 1]) end
  return 1
`)

export const release = script(`${prelude}
  return free(take()) and 1 or 0
`)

export const expire = script(`${prelude}
  local late = redis.call('ZRANGE', prefix .. 'reservations', '-inf', number(now()), 'BYSCORE', 'LIMIT', 0, 1000)
  for _, id in ipairs(late) do free(id) end
  return #late
`)
