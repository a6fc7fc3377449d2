// The Lua script of compaction; `RedisRunStore` calls it for each run.
import { prelude, script } from "./script.ts"

/**
 * Replaces a journal by chunks of events, if its length is unchanged and its run has ended. Without chunks the journal
 * is not changed. Either way the run leaves the index of uncompacted runs.
 */
export const compact = script(`${prelude}
  local runId, length, chunks = take(), tonumber(take()), many()
  local journal, packed = prefix .. 'events:' .. runId, prefix .. 'packed:' .. runId
  local function keep()
    local state = redis.pcall('HGET', prefix .. 'run:' .. runId, 'state')
    local open = state == '"queued"' or state == '"running"' or state == '"suspended"'
    if type(state) ~= 'string' or open or #chunks == 0 then return false end
    if redis.pcall('LLEN', journal) ~= length or redis.call('EXISTS', packed) == 1 then return false end
    for first = 1, #chunks, 1000 do
      redis.call('RPUSH', packed, unpack(chunks, first, math.min(first + 999, #chunks)))
    end
    redis.call('UNLINK', journal)
    return true
  end
  local kept = keep()
  redis.call('ZREM', prefix .. 'uncompacted', runId)
  return kept and '1' or '0'
`)
