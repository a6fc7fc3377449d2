// The Lua scripts of threads: pages of them and of their messages, forks and removals. A thread is a hash, a list of its
// messages and a member of three indexes, whose score is the time of its last turn.
import { outbox, prelude, script } from "./script.ts"

/** Threads of an index with their fields, those that changed last first, after a place in this order. */
export const page = script(`${prelude}
  local index, score, member, limit = take(), take(), take(), tonumber(take())
  local found, offset = {}, 0
  while #found < limit do
    local threads = redis.call('ZRANGE', index, score == '' and '+inf' or score, '-inf', 'BYSCORE', 'REV',
      'LIMIT', offset, 100, 'WITHSCORES')
    for one = 1, #threads, 2 do
      local isAfter = score == '' or threads[one + 1] ~= score or threads[one] < member
      if isAfter and #found < limit then
        local thread = threads[one]
        found[#found + 1] = { thread, number(redis.call('LLEN', prefix .. 'messages:' .. thread)),
          unpack(redis.call('HGETALL', prefix .. 'conversation:' .. thread)) }
      end
    end
    if #threads < 200 then break end
    offset = offset + 100
  end
  return found
`)

/** One thread, as a page has it. */
export const get = script(`${prelude}
  local thread = take()
  local fields = redis.call('HGETALL', prefix .. 'conversation:' .. thread)
  if #fields == 0 then return {} end
  return { { thread, number(redis.call('LLEN', prefix .. 'messages:' .. thread)), unpack(fields) } }
`)

/** Messages of a thread with their numbers, from an index of the list in one direction. */
export const messages = script(`${prelude}
  local list = prefix .. 'messages:' .. take()
  local from, step, limit, bytes = tonumber(take()), tonumber(take()), tonumber(take()), tonumber(take())
  local found, size, at, last = {}, 0, from, redis.call('LLEN', list) - 1
  if step < 0 and at > last then at = last end
  while at >= 0 and at <= last and #found < 2 * limit and (size == 0 or size < bytes) do
    local low, high = at, math.min(at + 15, last)
    if step < 0 then low, high = math.max(at - 15, 0), at end
    local chunk = redis.call('LRANGE', list, low, high)
    for one = 1, #chunk do
      local message = step > 0 and chunk[one] or chunk[#chunk + 1 - one]
      if #found == 2 * limit or (size > 0 and size >= bytes) then break end
      found[#found + 1] = number(at + 1)
      found[#found + 1] = message
      size = size + #message
      at = at + step
    end
  end
  return found
`)

/** Copies the turns of a thread up to the one that has a message. */
export const fork = script(`${prelude}${outbox}
  local thread, copy, at, now = take(), take(), tonumber(take()), take()
  local indexes, origin, facts = many(), take(), many()
  local list = prefix .. 'messages:' .. thread
  local said = at > 0 and redis.call('LINDEX', list, at - 1)
  if not said then return 0 end
  if redis.call('EXISTS', prefix .. 'conversation:' .. copy) == 1 then return 1 end
  if not keeps(facts) then return refused() end
  local run, length, last = string.match(said, '^[^\\n]*'), redis.call('LLEN', list), at
  while last < length do
    local other = redis.call('LINDEX', list, last)
    if string.match(other, '^[^\\n]*') ~= run then break end
    last = last + 1
  end
  redis.call('COPY', list, prefix .. 'messages:' .. copy, 'REPLACE')
  redis.call('LTRIM', prefix .. 'messages:' .. copy, 0, last - 1)
  redis.call('HSET', prefix .. 'conversation:' .. copy, 'createdAt', now, 'updatedAt', now, 'forkedThreadId', origin,
    'forkedAt', number(last))
  for _, index in ipairs(indexes) do redis.call('ZADD', index, now, copy) end
  note(facts)
  return 1
`)

/**
 * Removes a thread; with a time, only if it did not change since and has no run that has not ended. Facts are kept, whether
 * there is a thread or not.
 */
export const remove = script(`${prelude}${outbox}
  local thread, before, indexes, facts = take(), take(), many(), many()
  local changed = redis.call('HGET', prefix .. 'conversation:' .. thread, 'updatedAt')
  if not keeps(facts) then return refused() end
  note(facts)
  if not changed then return 0 end
  if before ~= '' then
    if tonumber(changed) >= tonumber(before) or redis.call('ZCARD', prefix .. 'open:' .. thread) > 0 then return 0 end
  end
  redis.call('UNLINK', prefix .. 'conversation:' .. thread, prefix .. 'messages:' .. thread)
  for _, index in ipairs(indexes) do redis.call('ZREM', index, thread) end
  return 1
`)

/** Threads of an index that did not change since a time and have no open run, from a place in the index on. */
export const idle = script(`${prelude}
  local index, before, offset, found = take(), take(), take(), {}
  local threads = redis.call('ZRANGE', index, '-inf', '(' .. before, 'BYSCORE', 'LIMIT', offset, 100)
  for _, thread in ipairs(threads) do
    if redis.call('ZCARD', prefix .. 'open:' .. thread) == 0 then found[#found + 1] = thread end
  end
  return { number(#threads), found }
`)
