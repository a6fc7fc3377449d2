// The shared parts of the Lua scripts of runs: arguments, indexes and concurrency limits.
import { Struct } from "effect"
import * as Redis from "effect/persistence/Redis"
import { listIndexes } from "./keys.ts"

/**
 * The first argument of every script is the prefix of all keys.
 *
 * Redis does not roll back, so a script checks everything that can fail before it writes, and its first write is a
 * command that Redis refuses when it is out of memory, out of disk or a replica.
 */
export const script = (lua: string) =>
  Redis.script((prefix: string, args: ReadonlyArray<string>) => [prefix, ...args], { lua, numberOfKeys: 0 })
    .withReturnType<unknown>()

/** Reads the arguments one after the other; a list is its length and its members. */
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

/** Facts for the audit log: they wait in a hash by their ids, and in an index by their times. */
export const outbox = `
  local function note(facts)
    for at = 1, #facts, 3 do
      redis.call('HSET', prefix .. 'outbox', facts[at], facts[at + 2])
      redis.call('ZADD', prefix .. 'outbox:times', facts[at + 1], facts[at])
    end
  end

  local badOutbox = { 'Damaged', 'the outbox of the audit log is not what it was' }

  local function isOf(key, kind)
    local found = redis.call('TYPE', key).ok
    return found == kind or found == 'none'
  end

  -- Whether the facts can be kept: asked before anything is written.
  local function keeps(facts)
    return #facts == 0 or (isOf(prefix .. 'outbox', 'hash') and isOf(prefix .. 'outbox:times', 'zset'))
  end

  local function refused() return redis.error_reply(badOutbox[2]) end
`

/** Adds a run to the indexes of lists that change with its state, or to the others. */
const listed = (changes: boolean) =>
  Struct.keys(listIndexes).flatMap((field) => {
    const { name, ofOwner, ...index } = listIndexes[field]
    if (index.changes !== changes) return []
    const own = ofOwner ? ` add('owner-${name}:' .. array(run.tenant, run.owner, run.${field}))` : ""
    return [`if run.${field} then add('${name}:' .. array(run.tenant, run.${field}))${own} end`]
  }).join("\n    ")

/** The fields of a stored run that decide its indexes. */
const indexedFields = [
  "state",
  "tenant",
  "owner",
  "idempotencyKey",
  "wakeAt",
  "deadline",
  "finishedAt",
  "audiences",
  ...Struct.keys(listIndexes)
]

/**
 * The indexes, all of them sorted sets, and the rules by which a run is in them. A run here is a table of the JSON
 * texts of its fields, and the name of an index ends with such a text or a JSON array of them.
 */
export const indexes = `
  local indexedFields = { ${indexedFields.map((field) => `'${field}'`).join(", ")} }

  local function array(...) return '[' .. table.concat({ ... }, ',') .. ']' end

  local function integer(text) return text and string.find(text, '^%-?%d+$') ~= nil end

  local function asTable(pairs)
    local values = {}
    for one = 1, #pairs, 2 do values[pairs[one]] = pairs[one + 1] end
    return values
  end

  -- The fields of a stored run that decide its indexes, or nothing when it is damaged.
  local function indexed(key)
    local values = redis.pcall('HMGET', key, unpack(indexedFields))
    if values.err then return nil end
    local run = {}
    for one, field in ipairs(indexedFields) do run[field] = values[one] end
    return run.state and run.tenant and run.owner and run.kind and run.agent and run or nil
  end

  local function threadOf(run) return run.threadId and array(run.tenant, run.owner, run.threadId) end

  -- The indexes that a run is in until it is removed.
  local function fixedIndexes(run)
    local keys = { prefix .. 'tenant:' .. run.tenant, prefix .. 'owner:' .. array(run.tenant, run.owner) }
    local function add(key) keys[#keys + 1] = prefix .. key end
    ${listed(false)}
    return keys
  end

  -- A line for each open interrupt of a run: its id, a tab, and its audience.
  local function audiencesOf(lines) return string.gmatch(lines or '', '\\t([^\\n]+)') end

  -- The lines after interrupts were opened or closed, an audience of '' being a closed one.
  local function withAudiences(lines, changes)
    local kept = {}
    local changed = asTable(changes)
    for line, id in string.gmatch(lines or '', '(([^\\t\\n]+)\\t[^\\n]+)') do
      if not changed[id] then kept[#kept + 1] = line end
    end
    for id, audience in pairs(changed) do
      if audience ~= '' then kept[#kept + 1] = id .. '\\t' .. audience end
    end
    return #kept > 0 and table.concat(kept, '\\n') or false
  end

  -- The indexes that a run is in because of its state, with the scores.
  local function stateIndexes(run)
    local keys, scores = {}, {}
    local function add(key, score)
      keys[#keys + 1] = prefix .. key
      scores[#scores + 1] = score or '0'
    end
    local state, thread = run.state, threadOf(run)
    local waiting = state == '"queued"' or state == '"suspended"'
    local running = state == '"running"'
    add('state:' .. state .. ':' .. run.tenant)
    add('owner-state:' .. array(run.tenant, run.owner, state))
    ${listed(true)}
    if waiting or running then
      for audience in audiencesOf(run.audiences) do
        add('pending:' .. array(run.tenant, audience))
        if audience == '""' then add('pending:' .. array(run.tenant, audience, run.owner)) end
      end
    end
    if running then
      add('unfinished')
      add('running:' .. array(run.kind, run.agent))
      add('running:' .. array(run.kind, run.agent, run.tenant))
    end
    if thread and (waiting or running) then add('open:' .. thread) end
    if thread and state == '"queued"' then add('queued:' .. thread) end
    if waiting and integer(run.wakeAt) then add('wake:' .. run.agent, run.wakeAt) end
    if waiting and integer(run.deadline) then add('deadlines', run.deadline) end
    if not waiting and not running and integer(run.finishedAt) then
      add('finished:' .. state, run.finishedAt)
      add('finished:' .. state .. ':' .. run.tenant, run.finishedAt)
      add('ended:' .. array(run.tenant, run.kind, state), run.finishedAt)
      add('ended:' .. array(run.tenant, run.owner, run.kind, state), run.finishedAt)
      add('uncompacted', run.finishedAt)
    end
    return keys, scores
  end

  -- All indexes that a run may be in because of its previous state.
  local function previousIndexes(run)
    local keys = stateIndexes(run)
    keys[#keys + 1] = prefix .. 'ready:' .. run.agent
    keys[#keys + 1] = prefix .. 'turn:' .. array(run.agent, run.tenant)
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

  local function addTo(runId, keys, scores)
    for one, key in ipairs(keys) do redis.call('ZADD', key, scores and scores[one] or '0', runId) end
  end

  -- Keeps the set of a tenant's audiences, which readers of pending interrupts go through, as long as one has a run.
  local function noteAudiences(tenant, lines)
    for audience in audiencesOf(lines) do
      local found = redis.call('EXISTS', prefix .. 'pending:' .. array(tenant, audience)) == 1
      redis.pcall(found and 'SADD' or 'SREM', prefix .. 'audiences:' .. tenant, audience)
    end
  end

  local function removeFrom(runId, keys)
    for _, key in ipairs(keys) do redis.call('ZREM', key, runId) end
  end

  -- Forgets a tenant whose last run has left the line of an agent.
  local function leaveLine(run)
    if redis.call('EXISTS', prefix .. 'turn:' .. array(run.agent, run.tenant)) == 0 then
      redis.call('SREM', prefix .. 'turns:' .. run.agent, run.tenant)
    end
  end
`

/**
 * Whether a run fits the concurrency limits, and whether its thread lets it run; limits are texts, an empty one is
 * none.
 */
export const concurrency = `
  -- The number of other members of an index.
  local function others(key, runId)
    return redis.call('ZCARD', key) - (redis.call('ZSCORE', key, runId) and 1 or 0)
  end

  local function fitsLimits(runId, run, agent, tenant)
    local running = prefix .. 'running:'
    if agent ~= '' and others(running .. array(run.kind, run.agent), runId) >= tonumber(agent) then return false end
    return tenant == '' or others(running .. array(run.kind, run.agent, run.tenant), runId) < tonumber(tenant)
  end

  local function mayRunInThread(runId, run, alone)
    local thread = alone ~= '' and not run.parentRunId and threadOf(run)
    if not thread then return true end
    local open, queued = prefix .. 'open:' .. thread, prefix .. 'queued:' .. thread
    return others(open, runId) == others(queued, runId) and redis.call('ZLEXCOUNT', queued, '-', '(' .. runId) == 0
  end
`
