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
export const prelude = `
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

  local function number(value) return string.format('%d', value) end
`

/**
 * The indexes, all of them sorted sets, and which of them a run is in. A run here is a table of the JSON texts of its
 * fields, and the name of an index ends with such a text or a JSON array of them.
 */
export const indexes = `
  local placing = {
    'state', 'tenant', 'owner', 'kind', 'agent', 'threadId', 'parentRunId', 'idempotencyKey', 'wakeAt', 'waitsFor', 'finishedAt'
  }

  local function array(...) return '[' .. table.concat({ ... }, ',') .. ']' end

  local function integer(text) return text and string.find(text, '^%-?%d+$') ~= nil end

  local function asTable(pairs)
    local values = {}
    for one = 1, #pairs, 2 do values[pairs[one]] = pairs[one + 1] end
    return values
  end

  -- What of a stored run decides about its indexes, or nothing when that is damaged.
  local function placed(key)
    local values = redis.pcall('HMGET', key, unpack(placing))
    if values.err then return nil end
    local run = {}
    for one, field in ipairs(placing) do run[field] = values[one] end
    return run.state and run.tenant and run.owner and run.kind and run.agent and run or nil
  end

  local function threadOf(run) return run.threadId and array(run.tenant, run.owner, run.threadId) end

  -- Where a run is for as long as it is there.
  local function lasting(run)
    local keys = {
      prefix .. 'tenant:' .. run.tenant,
      prefix .. 'owner:' .. array(run.tenant, run.owner),
      prefix .. 'agent:' .. array(run.tenant, run.agent)
    }
    if run.threadId then keys[#keys + 1] = prefix .. 'thread:' .. array(run.tenant, run.threadId) end
    if run.parentRunId then keys[#keys + 1] = prefix .. 'parent:' .. array(run.tenant, run.parentRunId) end
    return keys
  end

  -- Where a run is because of its state, with the scores.
  local function passing(run)
    local keys, scores = {}, {}
    local function add(key, score)
      keys[#keys + 1] = prefix .. key
      scores[#scores + 1] = score or '0'
    end
    local state, thread = run.state, threadOf(run)
    local waiting = state == '"queued"' or state == '"suspended"'
    local running = state == '"running"'
    add('state:' .. state .. ':' .. run.tenant)
    if running then
      add('unfinished')
      add('running:' .. array(run.kind, run.agent))
      add('running:' .. array(run.kind, run.agent, run.tenant))
    end
    if thread and (waiting or running) then add('open:' .. thread) end
    if thread and state == '"queued"' then add('queued:' .. thread) end
    if waiting and integer(run.wakeAt) then add('wake:' .. run.agent, run.wakeAt) end
    if not waiting and not running and integer(run.finishedAt) then
      add('finished:' .. state, run.finishedAt)
      add('finished:' .. state .. ':' .. run.tenant, run.finishedAt)
      add('uncompacted', run.finishedAt)
    end
    return keys, scores
  end

  -- All places that a run may be in because of its state as it was.
  local function leaving(run)
    local keys = passing(run)
    keys[#keys + 1] = prefix .. 'ready:' .. run.agent
    keys[#keys + 1] = prefix .. 'unfinished'
    return keys
  end

  local function intact(keys)
    for _, key in ipairs(keys) do
      local kind = redis.call('TYPE', key).ok
      if kind ~= 'zset' and kind ~= 'none' then return false end
    end
    return true
  end

  local function place(runId, keys, scores)
    for one, key in ipairs(keys) do redis.call('ZADD', key, scores and scores[one] or '0', runId) end
  end

  local function displace(runId, keys)
    for _, key in ipairs(keys) do redis.call('ZREM', key, runId) end
  end
`

/** Whether there is room for a run within limits, and whether it has its turn; limits are texts, an empty one is none. */
export const room = `
  -- How many members an index has besides this one.
  local function others(key, runId)
    return redis.call('ZCARD', key) - (redis.call('ZSCORE', key, runId) and 1 or 0)
  end

  local function fitsBeside(runId, run, agent, tenant)
    local running = prefix .. 'running:'
    if agent ~= '' and others(running .. array(run.kind, run.agent), runId) >= tonumber(agent) then return false end
    return tenant == '' or others(running .. array(run.kind, run.agent, run.tenant), runId) < tonumber(tenant)
  end

  local function hasTurn(runId, run, alone)
    local thread = alone ~= '' and threadOf(run)
    if not thread then return true end
    local open, queued = prefix .. 'open:' .. thread, prefix .. 'queued:' .. thread
    return others(open, runId) == others(queued, runId) and redis.call('ZLEXCOUNT', queued, '-', '(' .. runId) == 0
  end
`
