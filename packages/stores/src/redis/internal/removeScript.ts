// The Lua scripts of removal; `RedisRunStore` calls the first with up to 100 runs, the second with facts that are entered.
import { indexes, prelude, script } from "./script.ts"

/** Removes those of the runs that ended before a time, with everything that belongs to them, and returns their ids. */
export const remove = script(`${prelude}${indexes}
  local function remove(runId, endedBefore)
    local key = prefix .. 'run:' .. runId
    local run = indexed(key)
    if not run then return false end
    local open = run.state == '"queued"' or run.state == '"running"' or run.state == '"suspended"'
    if open or not integer(run.finishedAt) or tonumber(run.finishedAt) >= endedBefore then return false end
    local left, always = previousIndexes(run), fixedIndexes(run)
    if not intact(left) or not intact(always) then return false end
    removeFrom(runId, left)
    removeFrom(runId, always)
    leaveLine(run)
    if run.idempotencyKey then
      local held = prefix .. 'key:' .. array(run.tenant, run.owner, run.kind, run.agent, run.idempotencyKey)
      if redis.pcall('GET', held) == runId then redis.call('DEL', held) end
    end
    redis.call(
      'UNLINK', key, prefix .. 'events:' .. runId, prefix .. 'packed:' .. runId, prefix .. 'steps:' .. runId,
      prefix .. 'interrupts:' .. runId
    )
    return true
  end

  local endedBefore, removed = tonumber(take()), {}
  for _, runId in ipairs(many()) do
    if remove(runId, endedBefore) then removed[#removed + 1] = runId end
  end
  return removed
`)

export const removeFacts = script(`${prelude}
  while at < #ARGV do
    local id = take()
    redis.call('HDEL', prefix .. 'outbox', id)
    redis.call('ZREM', prefix .. 'outbox:times', id)
  end
  return 0
`)
