// Lua scripts that read one page of an index. They return where the next page begins, or nothing at the end, and the
// runs, each as its id and the fields of its hash. Damaged runs are returned as far as they can be read.
import { concurrency, indexes, prelude, script } from "./script.ts"

const pages = `${prelude}
  local chunk = 500

  -- The id and fields of a run: those that are named, or all.
  local function runOf(runId, names)
    local key = prefix .. 'run:' .. runId
    if not names or #names == 0 then
      local fields = redis.pcall('HGETALL', key)
      return fields.err and { runId } or { runId, unpack(fields) }
    end
    local values = redis.pcall('HMGET', key, unpack(names))
    local found = { runId }
    if values.err then return found end
    for one, value in ipairs(values) do
      if value then
        found[#found + 1] = names[one]
        found[#found + 1] = value
      end
    end
    return found
  end
`

/**
 * The runs with these values, by run id, from the smallest of some indexes. `orphans` leaves out runs of other living nodes, `own` those of all other
 * nodes, and `others` those of this and of living nodes.
 */
export const page = script(`${pages}
  local candidates, order, bound, limit, node = many(), take(), take(), tonumber(take()), take()
  local whose, filters, wanted = take(), many(), many()
  local name = candidates[1]
  local size = #candidates > 1 and redis.call('ZCARD', name)
  for one = 2, #candidates do
    local other = redis.call('ZCARD', candidates[one])
    if other < size then name, size = candidates[one], other end
  end
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
    local other = values[2]
    if whose == 'all' then return true end
    if not other or other == node then return whose ~= 'others' end
    return whose ~= 'own' and redis.call('EXISTS', prefix .. 'node:' .. other) == 0
  end

  local found = {}
  for _, runId in ipairs(runs) do
    if matches(prefix .. 'run:' .. runId) then found[#found + 1] = runOf(runId, wanted) end
    if #found == limit then return { '(' .. runId, found } end
  end
  return { #runs == chunk and '(' .. runs[chunk] or '', found }
`)

/** These runs, each with the wanted fields. */
export const named = script(`${pages}
  local runIds, wanted, found = many(), many(), {}
  for _, runId in ipairs(runIds) do
    local run = runOf(runId, wanted)
    if #run > 1 then found[#found + 1] = run end
  end
  return { '', found }
`)

/** The runs of an index of pending interrupts, newest first, except those of one owner. */
export const pending = script(`${prelude}
  local name, bound, limit, except = take(), take(), tonumber(take()), take()
  local found = {}
  while #found < limit do
    local runs = redis.call('ZRANGE', name, bound, '-', 'BYLEX', 'REV', 'LIMIT', 0, 500)
    for _, runId in ipairs(runs) do
      if except == '' or redis.call('HGET', prefix .. 'run:' .. runId, 'owner') ~= except then
        found[#found + 1] = runId
      end
      if #found == limit then break end
    end
    if #runs < 500 then break end
    bound = '(' .. runs[#runs]
  end
  return found
`)

/** Adds runs of an earlier version to the indexes of lists, with the audiences of their open interrupts. */
export const reindex = script(`${prelude}${indexes}
  while at < #ARGV do
    local runId, changes = take(), many()
    local run = indexed(prefix .. 'run:' .. runId)
    if run then
      run.audiences = withAudiences(run.audiences, changes)
      if run.audiences then redis.call('HSET', prefix .. 'run:' .. runId, 'audiences', run.audiences) end
      local keys, scores = fixedIndexes(run), {}
      local changing, their = stateIndexes(run)
      for one, key in ipairs(changing) do
        local name = string.sub(key, #prefix + 1)
        local isEnded = string.find(name, '^ended:')
        if isEnded or string.find(name, '^owner%-state:') or string.find(name, '^wait:') or string.find(name, '^pending:') then
          keys[#keys + 1] = key
          scores[#keys] = their[one]
        end
      end
      if intact(keys) then
        addTo(runId, keys, scores)
        noteAudiences(run.tenant, run.audiences)
      end
    end
  end
  return 0
`)

/**
 * The page of the runs that ended last, of each of the indexes: their ids and times, and how many there are. Those that are
 * not in one more index are left out; of such ones no more than `most` are counted.
 */
export const lastEnded = script(`${prelude}
  local beforeTime, beforeId, since, limit, most, within = take(), take(), take(), tonumber(take()), tonumber(take()), take()
  local chunk, total, found = 500, 0, {}

  -- Calls \`each\` for the members of an index from a time on, until it answers with true.
  local function visit(name, from, each)
    local offset = 0
    while true do
      local page = redis.call('ZRANGE', name, from, since, 'BYSCORE', 'REV', 'LIMIT', offset, chunk, 'WITHSCORES')
      for one = 1, #page, 2 do
        local isIn = within == '' or redis.call('ZSCORE', within, page[one])
        if isIn and each(page[one], page[one + 1]) then return end
      end
      if #page < 2 * chunk then return end
      offset = offset + chunk
    end
  end

  for _, name in ipairs(many()) do
    if within == '' then
      total = total + redis.call('ZCOUNT', name, since, '+inf')
    else
      visit(name, '+inf', function()
        total = total + 1
        return total >= most
      end)
    end
    local left = limit
    visit(name, beforeTime, function(runId, time)
      if time ~= beforeTime or runId < beforeId then
        found[#found + 1] = runId
        found[#found + 1] = time
        left = left - 1
      end
      return left == 0
    end)
  end
  return { number(total), found }
`)

/**
 * Due runs, by turns of their tenants. Each moves once from the index by time to those by priority, of its agent and of its
 * tenant, so that a call reads neither runs that are not due nor all due runs to find the first.
 */
export const due = script(`${pages}${indexes}${concurrency}
  local agent, now, from, limit = take(), take(), tonumber(take()), tonumber(take())
  local within = many()
  local wake, ready, tenants = prefix .. 'wake:' .. agent, prefix .. 'ready:' .. agent, prefix .. 'turns:' .. agent
  local turnSize = 1000000

  local function lineOf(tenant) return prefix .. 'turn:' .. array(agent, tenant) end

  local function join(runId)
    local values = redis.pcall('HMGET', prefix .. 'run:' .. runId, 'priority', 'tenant')
    local priority, tenant = values[1], values[2]
    if type(priority) ~= 'string' or not string.find(priority, '^%-?%d+$') then priority = '0' end
    if type(tenant) ~= 'string' then tenant = '""' end
    local score = string.sub(priority, 1, 1) == '-' and string.sub(priority, 2) or '-' .. priority
    redis.call('ZADD', ready, score, runId)
    redis.call('ZADD', lineOf(tenant), score, runId)
    redis.call('SADD', tenants, tenant)
  end

  local woken = redis.call('ZRANGE', wake, '-inf', now, 'BYSCORE', 'LIMIT', 0, chunk)
  for _, runId in ipairs(woken) do
    join(runId)
    redis.call('ZREM', wake, runId)
  end
  if #woken == chunk then return { number(from), {} } end

  local function linesOf()
    local lines, size = {}, 0
    for _, tenant in ipairs(redis.call('SMEMBERS', tenants)) do
      local count = redis.call('ZCARD', lineOf(tenant))
      size = size + count
      if count == 0 then redis.call('SREM', tenants, tenant) else lines[#lines + 1] = tenant end
    end
    return lines, size
  end

  local lines, size = linesOf()
  -- A node of an earlier version adds runs to the index of the agent alone.
  if size ~= redis.call('ZCARD', ready) then
    for first = 0, redis.call('ZCARD', ready) - 1, chunk do
      for _, runId in ipairs(redis.call('ZRANGE', ready, first, first + chunk - 1)) do join(runId) end
    end
    lines = linesOf()
  end

  local full = {}

  local function hasSlot(runId, run)
    if #within == 0 or run.waitsFor == '"interrupt"' then return true end
    local most, each, alone = unpack(within)
    if fitsLimits(runId, run, most, each) then return mayRunInThread(runId, run, alone) end
    full[run.tenant] = true
    return false
  end

  -- Another node's clock may be ahead of this one. Damaged runs are returned, so that they are logged.
  local function isDue(runId)
    local run = indexed(prefix .. 'run:' .. runId)
    return not run or ((tonumber(run.wakeAt or 'none') or math.huge) <= tonumber(now) and hasSlot(runId, run))
  end

  -- A tenant without a free slot may have many queued runs: they are skipped together.
  local function queuedOf(tenant, runs)
    local passed = {}
    for index, score in ipairs(redis.pcall('ZMSCORE', prefix .. 'state:"queued":' .. tenant, unpack(runs))) do
      if score then passed[runs[index]] = true end
    end
    return passed
  end

  -- The next turns, each with a run of every tenant that has one more, the oldest first.
  local first, skip = math.floor(from / turnSize), from % turnSize
  local width = math.max(1, math.floor(chunk / math.max(1, #lines)))
  local turns, passed, more = {}, {}, false
  for turn = 1, width do turns[turn] = {} end
  for _, tenant in ipairs(lines) do
    local runs = redis.call('ZRANGE', lineOf(tenant), first, first + width - 1)
    for turn, runId in ipairs(runs) do table.insert(turns[turn], { runId, tenant, runs }) end
    if #runs == width then more = true end
  end

  local found = {}
  for turn = 1, width do
    table.sort(turns[turn], function(one, other) return one[1] < other[1] end)
    for index, head in ipairs(turns[turn]) do
      local runId, tenant = head[1], head[2]
      if turn > 1 or index > skip then
        if full[tenant] and not passed[tenant] then passed[tenant] = queuedOf(tenant, head[3]) end
        if not (passed[tenant] and passed[tenant][runId]) and isDue(runId) then found[#found + 1] = runOf(runId) end
      end
      if #found == limit then return { number((first + turn - 1) * turnSize + index), found } end
    end
  end
  return { more and number((first + width) * turnSize) or '', found }
`)

/** Runs that wait and whose deadline has come, the earliest first. */
export const overdue = script(`${pages}
  local now, offset, limit = take(), tonumber(take()), tonumber(take())
  local runs = redis.call('ZRANGE', prefix .. 'deadlines', '-inf', now, 'BYSCORE', 'LIMIT', offset, math.min(chunk, limit))
  local found = {}
  for index, runId in ipairs(runs) do found[index] = runOf(runId) end
  return { #runs == chunk and number(offset + chunk) or '', found }
`)

/**
 * Runs of an index that ended before a time, in that order, except those of some tenants and those whose parent exists.
 */
export const ended = script(`${pages}
  local name, before, offset, limit = take(), take(), tonumber(take()), tonumber(take())
  local except = {}
  for _, tenant in ipairs(many()) do except[tenant] = true end
  local runs = redis.call('ZRANGE', name, '-inf', '(' .. before, 'BYSCORE', 'LIMIT', offset, chunk)

  local function stays(runId)
    local values = redis.pcall('HMGET', prefix .. 'run:' .. runId, 'tenant', 'parentRunId')
    if values.err then return false end
    if except[values[1]] then return true end
    if not values[2] then return false end
    local read, parent = pcall(cjson.decode, values[2])
    return read and redis.call('EXISTS', prefix .. 'run:' .. tostring(parent)) == 1
  end

  local found = {}
  for index, runId in ipairs(runs) do
    if not stays(runId) then found[#found + 1] = runOf(runId) end
    if #found == limit then return { number(offset + index), found } end
  end
  return { #runs == chunk and number(offset + chunk) or '', found }
`)

/** Facts from before a time, the oldest first: of each its id, its time and its text. */
export const facts = script(`${prelude}
  local before, limit, found = take(), take(), {}
  local times = redis.call('ZRANGE', prefix .. 'outbox:times', '-inf', '(' .. before, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
  for one = 1, #times, 2 do
    local body = redis.call('HGET', prefix .. 'outbox', times[one])
    if body then found[#found + 1] = { times[one], times[one + 1], body } end
  end
  return found
`)
