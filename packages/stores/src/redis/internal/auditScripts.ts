// Lua scripts of the audit log; `RedisAudit` calls them.
import * as Redis from "effect/persistence/Redis"

/** The first arguments of every script are the prefix of all keys and the name of the tenant. */
const script = (lua: string) =>
  Redis.script((prefix: string, args: ReadonlyArray<string>) => [prefix, ...args], {
    lua: `
      local prefix, tenant = ARGV[1], ARGV[2]
      local function named(what) return prefix .. 'audit:' .. what .. ':' .. tenant end
      local function ids(subject)
        local found = {}
        local kept = redis.call('HGET', named('subjects'), subject)
        for id in string.gmatch(kept or '', '%S+') do found[#found + 1] = id end
        return found
      end
      ${lua}`,
    numberOfKeys: 0
  }).withReturnType<unknown>()

/**
 * Takes the end of the chain as the writer read it, the new end, the number of links, the links, and keys; returns the
 * end of the chain. Nothing is appended when the chain has one of the facts. The first link is the first write, because Redis refuses it when the number exists or memory is
 * full.
 */
export const append = script(`
  local chains = prefix .. 'audit:chains'
  local ends = redis.call('HGET', chains, tenant)
  if (ends or '0 ' .. string.rep('0', 64)) ~= ARGV[3] then return ends end
  for index = 1, tonumber(ARGV[5]) do
    local fact = ARGV[5 + 4 * index]
    if fact ~= '' and redis.call('SISMEMBER', named('facts'), fact) == 1 then return ends end
  end
  local at = 6
  for index = 1, tonumber(ARGV[5]) do
    local hash, body, fact = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    if fact == '' then redis.call('XADD', named('trail'), ARGV[at], 'hash', hash, 'body', body)
    else
      redis.call('XADD', named('trail'), ARGV[at], 'hash', hash, 'body', body, 'fact', fact)
      redis.call('SADD', named('facts'), fact)
    end
    at = at + 4
  end
  while at < #ARGV do
    local subject, id = ARGV[at], ARGV[at + 1]
    redis.call('HSET', named('keys'), id, ARGV[at + 2])
    redis.call('HSET', named('subjects'), subject, (redis.call('HGET', named('subjects'), subject) or '') .. ' ' .. id)
    at = at + 3
  end
  redis.call('HSET', chains, tenant, ARGV[4])
  return ARGV[4]
`)

export const keysOf = script(`
  local found = ids(ARGV[3])
  if #found == 0 then return {} end
  return redis.call('HMGET', named('keys'), unpack(found))
`)

export const destroyKeys = script(`
  for _, id in ipairs(ids(ARGV[3])) do redis.call('HDEL', named('keys'), id) end
  redis.call('HDEL', named('subjects'), ARGV[3])
  return 0
`)

/** Takes the last number to remove, the head that records the cut, and the time before which keys are removed. */
export const cut = script(`
  local upTo, before = tonumber(ARGV[3]), tonumber(ARGV[5])
  redis.call('RPUSH', named('heads'), ARGV[4])
  local first = '-'
  while first do
    local entries = redis.call('XRANGE', named('trail'), first, string.format('%d-0', upTo), 'COUNT', 1000)
    for _, entry in ipairs(entries) do
      if entry[2][6] then redis.call('SREM', named('facts'), entry[2][6]) end
    end
    first = #entries == 1000 and '(' .. entries[1000][1]
  end
  redis.call('XTRIM', named('trail'), 'MINID', '=', string.format('%d-0', upTo + 1))
  for _, head in ipairs(redis.call('LRANGE', named('heads'), 0, -1)) do
    if cjson.decode(head).seq < upTo then redis.call('LREM', named('heads'), 0, head) end
  end
  local kept = redis.call('HGETALL', named('keys'))
  local gone, subjects = {}, {}
  for at = 1, #kept, 2 do
    local key = cjson.decode(kept[at + 1])
    if key.createdAt < before then
      redis.call('HDEL', named('keys'), kept[at])
      gone[kept[at]] = true
    end
  end
  local names = redis.call('HGETALL', named('subjects'))
  for at = 1, #names, 2 do
    local left = {}
    for id in string.gmatch(names[at + 1], '%S+') do
      if not gone[id] then left[#left + 1] = id end
    end
    if #left == 0 then redis.call('HDEL', named('subjects'), names[at])
    else redis.call('HSET', named('subjects'), names[at], table.concat(left, ' ')) end
  end
  return 0
`)
