// The Lua script of all writes to runs; `RedisRunStore` calls it once for each batch.
import { concurrency, indexes, outbox, prelude, script } from "./script.ts"

/** Takes the arguments that `writes.ts` encodes; the answer has one list for each write. */
export const write = script(`${prelude}${indexes}${concurrency}${outbox}
  local function contains(values, value)
    for _, one in ipairs(values) do
      if one == value then return true end
    end
    return false
  end

  -- Lua passes only some thousand arguments at once.
  local function send(command, key, values)
    for first = 1, #values, 1000 do
      redis.call(command, key, unpack(values, first, math.min(first + 999, #values)))
    end
  end

  local badIndex = { 'Damaged', 'an index is no sorted set' }

  -- An answer with another run; nothing when that run does not exist.
  local function holder(tag, runId)
    local held = redis.pcall('HGETALL', prefix .. 'run:' .. runId)
    if held.err then return { 'Damaged', held.err } end
    if #held > 0 then return { tag, runId, unpack(held) } end
  end

  local function admit()
    local runId, key, alone = take(), take(), take()
    local fields, events, steps, interrupts, audiences, facts = many(), many(), many(), many(), many(), many()
    local hash, journal = prefix .. 'run:' .. runId, prefix .. 'events:' .. runId
    if key ~= '' then
      local held = redis.pcall('GET', key)
      if type(held) == 'table' then return { 'Damaged', 'idempotency key' } end
      local answer = held and holder('Attached', held)
      if answer then return answer end
    end
    if redis.call('EXISTS', hash, journal, prefix .. 'steps:' .. runId, prefix .. 'interrupts:' .. runId) > 0 then
      return { 'Refused' }
    end
    local run = asTable(fields)
    run.audiences = withAudiences(nil, audiences)
    local keys, scores = stateIndexes(run)
    local always, thread = fixedIndexes(run), threadOf(run)
    if not intact(keys) or not intact(always) then return badIndex end
    if not keeps(facts) then return badOutbox end
    if alone ~= '' and thread then
      for _, other in ipairs(redis.call('ZRANGE', prefix .. 'open:' .. thread, 0, 0)) do
        return holder('Busy', other) or { 'Damaged', 'a run of the thread does not exist' }
      end
    end

    send('HSET', hash, fields)
    if run.audiences then redis.call('HSET', hash, 'audiences', run.audiences) end
    send('RPUSH', journal, events)
    send('HSET', prefix .. 'steps:' .. runId, steps)
    send('HSET', prefix .. 'interrupts:' .. runId, interrupts)
    addTo(runId, always)
    addTo(runId, keys, scores)
    noteAudiences(run.tenant, run.audiences)
    if key ~= '' then redis.call('SET', key, runId) end
    note(facts)
    return { 'Admitted' }
  end

  local function limiting(run)
    local keys = {
      prefix .. 'running:' .. array(run.kind, run.agent),
      prefix .. 'running:' .. array(run.kind, run.agent, run.tenant)
    }
    local thread = threadOf(run)
    if thread then
      keys[3] = prefix .. 'open:' .. thread
      keys[4] = prefix .. 'queued:' .. thread
    end
    return keys
  end

  local function canGrow(turn)
    local hash, list = redis.call('TYPE', prefix .. 'conversation:' .. turn[1]).ok, redis.call('TYPE', prefix .. 'messages:' .. turn[1]).ok
    return (hash == 'hash' or hash == 'none') and (list == 'list' or list == 'none') and intact({ turn[2], turn[3], turn[4] })
  end

  -- Appends a turn to its thread, which exists from its first turn.
  local function grow(turn)
    local thread, at = turn[1], turn[5]
    local hash = prefix .. 'conversation:' .. thread
    local before = redis.call('HGET', hash, 'updatedAt')
    if before and tonumber(before) > tonumber(at) then at = before end
    redis.call('HSETNX', hash, 'createdAt', at)
    redis.call('HSET', hash, 'updatedAt', at)
    local said = {}
    for index = 6, #turn do said[#said + 1] = turn[index] end
    send('RPUSH', prefix .. 'messages:' .. thread, said)
    for index = 2, 4 do redis.call('ZADD', turn[index], at, thread) end
  end

  local function commit()
    local runId, attempt, ifSeq, from, resolve, resolution = take(), take(), take(), many(), take(), take()
    local within, moves = many(), take()
    local changes, forgotten, open, audiences = many(), many(), many(), many()
    local steps, events, facts, turn = many(), many(), many(), many()
    if #audiences > 0 then moves = '1' end
    local run, journal = prefix .. 'run:' .. runId, prefix .. 'events:' .. runId
    local interrupts = prefix .. 'interrupts:' .. runId
    local stored = redis.pcall('HMGET', run, 'attempt', 'state', 'seq', 'tenant')
    if stored.err then return { 'Damaged', stored.err } end
    if stored[1] ~= attempt or not contains(from, stored[2]) then return { 'Refused' } end
    if ifSeq ~= '' and stored[3] ~= ifSeq then return { 'Refused' } end
    local length = redis.pcall('LLEN', journal)
    -- A change without an event can be made once the journal is compacted.
    local compacted = #events == 0 and redis.call('EXISTS', prefix .. 'packed:' .. runId) == 1
    if not stored[4] or type(length) ~= 'number' or (number(length) ~= stored[3] and not compacted) then
      return { 'Damaged', 'the length of the journal differs from its record' }
    end
    for _, hash in ipairs({ interrupts, prefix .. 'steps:' .. runId }) do
      local size = redis.pcall('HLEN', hash)
      if type(size) ~= 'number' then return { 'Damaged', size.err } end
    end
    local before, previous, left, keys, scores = nil, nil, {}, {}, {}
    if moves ~= '' or #within > 0 then
      before = indexed(run)
      if not before then return { 'Damaged', 'the record is not whole' } end
    end
    if #within > 0 then
      if not intact(limiting(before)) then return badIndex end
      local agent, tenant, alone = unpack(within)
      if not fitsLimits(runId, before, agent, tenant) or not mayRunInThread(runId, before, alone) then return { 'Refused' } end
    end
    if moves ~= '' then
      previous = before.audiences
      left = previousIndexes(before)
      for _, field in ipairs(forgotten) do before[field] = false end
      for field, value in pairs(asTable(changes)) do before[field] = value end
      before.audiences = withAudiences(before.audiences, audiences)
      keys, scores = stateIndexes(before)
      if not intact(left) or not intact(keys) then return badIndex end
    end
    if not keeps(facts) then return badOutbox end
    if #turn > 0 and not canGrow(turn) then return { 'Damaged', 'the thread is not what it was' } end
    local opened = nil
    if resolve ~= '' then
      opened = redis.call('HGET', interrupts, resolve)
      if not opened or string.sub(opened, 1, 5) ~= 'open\\n' then return { 'Refused' } end
    end

    local seq = compacted and stored[3] or number(length + #events)
    send('HSET', run, changes)
    redis.call('HSET', run, 'seq', seq)
    send('HDEL', run, forgotten)
    send('RPUSH', journal, events)
    if opened then
      redis.call('HSET', interrupts, resolve, 'resolved' .. string.sub(opened, 5) .. '\\n' .. resolution)
    end
    send('HSET', interrupts, open)
    if #audiences > 0 then
      if before.audiences then redis.call('HSET', run, 'audiences', before.audiences)
      else redis.call('HDEL', run, 'audiences') end
    end
    for value = 2, #steps, 2 do steps[value] = seq .. '\\n' .. steps[value] end
    send('HSET', prefix .. 'steps:' .. runId, steps)
    removeFrom(runId, left)
    if moves ~= '' then leaveLine(before) end
    addTo(runId, keys, scores)
    if moves ~= '' then
      noteAudiences(before.tenant, previous)
      noteAudiences(before.tenant, before.audiences)
    end
    note(facts)
    if #turn > 0 then grow(turn) end
    redis.call('PUBLISH', prefix .. 'changes', runId .. ' ' .. seq)
    return { 'Committed', seq }
  end

  local written = {}
  while at < #ARGV do
    if take() == 'Admit' then written[#written + 1] = admit() else written[#written + 1] = commit() end
  end
  return written
`)
