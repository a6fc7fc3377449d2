import * as Redis from "effect/persistence/Redis"

/**
 * Every script gets the prefix of all keys first.
 *
 * Redis does not roll back: nothing is written before it is certain that nothing of the write can fail, and the first
 * command that writes is one that Redis refuses when it is out of memory, out of disk or a replica.
 */
export const script = (lua: string) =>
  Redis.script((prefix: string, args: ReadonlyArray<string>) => [prefix, ...args], { lua, numberOfKeys: 0 })
    .withReturnType<unknown>()

/** The arguments are read one after the other; a list is its length and its members. */
const prelude = `
  local prefix = ARGV[1]
  local at = 1

  local function take()
    at = at + 1
    return ARGV[at]
  end

  local function many()
    local values = {}
    for index = 1, tonumber(take()) do values[index] = take() end
    return values
  end
`

/** What `writes.ts` encodes; the answer has one list for each write. */
export const write = script(`${prelude}
  local function contains(values, value)
    for _, one in ipairs(values) do
      if one == value then return true end
    end
    return false
  end

  -- Lua cannot pass more than some thousand arguments at once.
  local function send(command, key, values)
    for first = 1, #values, 1000 do
      redis.call(command, key, unpack(values, first, math.min(first + 999, #values)))
    end
  end

  local function number(value) return string.format('%d', value) end

  local function index(run, tenant, state, command)
    local member = command == 'ZADD' and { '0', run } or { run }
    redis.call(command, prefix .. 'state:' .. state .. ':' .. tenant, unpack(member))
    if state == '"queued"' or state == '"running"' then redis.call(command, prefix .. 'unfinished', unpack(member)) end
  end

  local function admit()
    local runId, key, tenant, state = take(), take(), take(), take()
    local indexes, fields, events = many(), many(), many()
    local run, journal = prefix .. 'run:' .. runId, prefix .. 'events:' .. runId
    if key ~= '' then
      local holder = redis.pcall('GET', key)
      if type(holder) == 'table' then return { 'Damaged', 'idempotency key' } end
      if holder then
        local held = redis.pcall('HGETALL', prefix .. 'run:' .. holder)
        if held.err then return { 'Damaged', held.err } end
        if #held > 0 then return { 'Attached', holder, unpack(held) } end
      end
    end
    if redis.call('EXISTS', run, journal, prefix .. 'steps:' .. runId, prefix .. 'interrupts:' .. runId) > 0 then
      return { 'Refused' }
    end
    send('HSET', run, fields)
    send('RPUSH', journal, events)
    for _, name in ipairs(indexes) do redis.call('ZADD', name, '0', runId) end
    index(runId, tenant, state, 'ZADD')
    if key ~= '' then redis.call('SET', key, runId) end
    return { 'Admitted' }
  end

  local function commit()
    local runId, attempt, from, resolve, resolution = take(), take(), many(), take(), take()
    local state, changes, open, steps, events = take(), many(), many(), many(), many()
    local run, journal = prefix .. 'run:' .. runId, prefix .. 'events:' .. runId
    local interrupts = prefix .. 'interrupts:' .. runId
    local stored = redis.pcall('HMGET', run, 'attempt', 'state', 'seq', 'tenant')
    if stored.err then return { 'Damaged', stored.err } end
    if stored[1] ~= attempt or not contains(from, stored[2]) then return { 'Refused' } end
    local tenant, length = stored[4], redis.pcall('LLEN', journal)
    if not tenant or type(length) ~= 'number' or number(length) ~= stored[3] then
      return { 'Damaged', 'the journal is not as long as its run says' }
    end
    for _, hash in ipairs({ interrupts, prefix .. 'steps:' .. runId }) do
      local size = redis.pcall('HLEN', hash)
      if type(size) ~= 'number' then return { 'Damaged', size.err } end
    end
    local opened = nil
    if resolve ~= '' then
      opened = redis.call('HGET', interrupts, resolve)
      if not opened or string.sub(opened, 1, 5) ~= 'open\\n' then return { 'Refused' } end
    end

    local seq = number(length + #events)
    send('HSET', run, changes)
    redis.call('HSET', run, 'seq', seq)
    send('RPUSH', journal, events)
    if opened then
      redis.call('HSET', interrupts, resolve, 'resolved' .. string.sub(opened, 5) .. '\\n' .. resolution)
    end
    send('HSET', interrupts, open)
    send('HSET', prefix .. 'steps:' .. runId, steps)
    if state ~= '' and state ~= stored[2] then
      index(runId, tenant, stored[2], 'ZREM')
      index(runId, tenant, state, 'ZADD')
    end
    redis.call('PUBLISH', prefix .. 'changes', runId .. ' ' .. seq)
    return { 'Committed', seq }
  end

  local written = {}
  while at < #ARGV do
    if take() == 'Admit' then written[#written + 1] = admit() else written[#written + 1] = commit() end
  end
  return written
`)

/**
 * One page of an index: the runs that have these values, and the last run looked at when there are more to look at.
 * A run that the index knows and nobody else does comes without fields. `whose` leaves out runs of other living nodes, and
 * of the rest those of other nodes (`own`) or of this one (`others`).
 */
export const page = script(`${prelude}
  local name, order, bound, limit, node, whose = take(), take(), take(), tonumber(take()), take(), take()
  local filters = many()
  local chunk = 500
  local runs
  if order == 'newest' then
    runs = redis.call('ZRANGE', name, bound, '-', 'BYLEX', 'REV', 'LIMIT', 0, chunk)
  else
    runs = redis.call('ZRANGE', name, bound, '+', 'BYLEX', 'LIMIT', 0, chunk)
  end

  local function matches(run)
    local names = { 'runId', 'node' }
    for one = 1, #filters, 2 do names[#names + 1] = filters[one] end
    local values = redis.pcall('HMGET', run, unpack(names))
    if values.err or not values[1] then return true end
    for one = 3, #names do
      if values[one] ~= filters[2 * one - 4] then return false end
    end
    if whose == '' then return true end
    local other = values[2]
    if not other or other == node then return whose ~= 'others' end
    return whose ~= 'own' and redis.call('EXISTS', prefix .. 'node:' .. other) == 0
  end

  local found = {}
  for _, runId in ipairs(runs) do
    local run = prefix .. 'run:' .. runId
    if matches(run) then
      local fields = redis.pcall('HGETALL', run)
      found[#found + 1] = fields.err and { runId } or { runId, unpack(fields) }
      if #found == limit then break end
    end
  end
  local more = #found < limit and #runs == chunk
  return { more and runs[chunk] or '', found }
`)
