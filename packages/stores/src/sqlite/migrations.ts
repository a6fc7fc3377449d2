/**
 * The tables of the stores, each migration once per database.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { migrate, script } from "../sql/migrate.ts"

/**
 * A record is two rows: `runs` holds the fields that commits change and is small, because a changed row is rewritten as
 * a whole; `run_values` holds fields that may be large and is written at most twice.
 *
 * An event row is all events of one commit, and its key is the last of their numbers.
 */
const runs = script(`
  CREATE TABLE runs (
    run_id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    emitted INTEGER NOT NULL,
    durable INTEGER NOT NULL,
    thread_id TEXT,
    parent_run_id TEXT,
    idempotency_key TEXT,
    trace_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    usage TEXT,
    error TEXT
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX runs_by_owner ON runs (tenant, owner, run_id);
  CREATE INDEX runs_by_tenant ON runs (tenant, run_id);
  CREATE INDEX runs_by_thread ON runs (tenant, thread_id, run_id) WHERE thread_id IS NOT NULL;
  CREATE INDEX runs_unfinished ON runs (run_id) WHERE state IN ('queued', 'running');

  CREATE TABLE run_values (
    run_id TEXT PRIMARY KEY,
    grants TEXT NOT NULL,
    payload TEXT NOT NULL,
    output TEXT
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE run_events (
    run_id TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, last_seq)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE run_steps (
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run_id, name)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE interrupts (
    run_id TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    request TEXT NOT NULL,
    resolution TEXT,
    PRIMARY KEY (run_id, id)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE idempotency_keys (
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    agent TEXT NOT NULL,
    key TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (tenant, owner, kind, agent, key)
  ) STRICT, WITHOUT ROWID;
`)

const audit = script(`
  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    principal TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    decision TEXT NOT NULL,
    run_id TEXT,
    trace_id TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_by_tenant ON audit (tenant, id);
`)

const apiKeys = script(`
  CREATE TABLE api_keys (
    prefix TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    scopes TEXT NOT NULL,
    roles TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
  ) STRICT, WITHOUT ROWID;
`)

const rateCounters = script(`
  CREATE TABLE rate_counters (
    key TEXT PRIMARY KEY,
    used REAL NOT NULL,
    since REAL NOT NULL,
    ends_at REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX rate_counters_by_end ON rate_counters (ends_at);
`)

/** Entries from before the chain are kept in a table that is not read any more. */
const auditChain = script(`
  ALTER TABLE audit RENAME TO audit_unchained;

  CREATE TABLE audit (
    tenant TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, seq)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE audit_chains (
    tenant TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE audit_heads (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    kind TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    at INTEGER NOT NULL,
    signer TEXT NOT NULL,
    signature TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_heads_by_tenant ON audit_heads (tenant, seq);

  CREATE TABLE audit_keys (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX audit_keys_by_subject ON audit_keys (tenant, subject);
`)

/** `keys` are the counters that a reservation belongs to, as a JSON list. */
const budgets = script(`
  CREATE TABLE budgets (
    key TEXT PRIMARY KEY,
    settled INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    keys TEXT NOT NULL,
    amount INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX reservations_by_end ON reservations (expires_at);

  CREATE TABLE usage (
    tenant TEXT NOT NULL,
    day TEXT NOT NULL,
    owner TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    calls INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (tenant, day, owner, agent, model)
  ) STRICT, WITHOUT ROWID;
`)

/**
 * Existing steps get the number of the last event, because the event that committed them is not known. Existing queued
 * runs become due. A change of state updates the indexes of open, due, running and ended runs; an append updates none.
 */
const waiting = script(`
  ALTER TABLE runs ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE runs ADD COLUMN wake_at INTEGER;
  ALTER TABLE runs ADD COLUMN waits_for TEXT;
  ALTER TABLE run_values ADD COLUMN root_run_id TEXT;
  ALTER TABLE run_values ADD COLUMN forked_from TEXT;
  ALTER TABLE run_steps ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
  UPDATE run_steps SET seq = COALESCE((SELECT runs.seq FROM runs WHERE runs.run_id = run_steps.run_id), 0);
  UPDATE runs SET wake_at = updated_at WHERE state = 'queued';

  DROP INDEX runs_unfinished;
  CREATE INDEX runs_running ON runs (kind, agent, tenant, run_id) WHERE state = 'running';
  CREATE INDEX runs_due ON runs (wake_at, agent, priority, state, run_id)
    WHERE wake_at IS NOT NULL AND state IN ('queued', 'suspended');
  CREATE INDEX runs_open_in_thread ON runs (tenant, owner, thread_id, run_id)
    WHERE thread_id IS NOT NULL AND state IN ('queued', 'running', 'suspended');
  CREATE INDEX runs_by_parent ON runs (tenant, parent_run_id, run_id) WHERE parent_run_id IS NOT NULL;
  CREATE INDEX runs_finished ON runs (finished_at, run_id) WHERE finished_at IS NOT NULL;
`)

/** Each start reads the suspended runs to find those of other definitions. */
const suspended = script(`
  CREATE INDEX runs_suspended ON runs (run_id) WHERE state = 'suspended'
`)

const schedules = script(`
  CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    upto INTEGER NOT NULL,
    fired INTEGER,
    paused INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`)

/**
 * `compacted` is the number of the last event that compaction has read, or -1 once it is done. The index does not
 * contain `seq`, because every append would update it.
 */
const compacted = script(`
  ALTER TABLE runs ADD COLUMN compacted INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX runs_to_compact ON runs (finished_at, run_id) WHERE finished_at IS NOT NULL AND compacted >= 0;

  DROP INDEX runs_finished;
  CREATE INDEX runs_ended ON runs (state, finished_at, run_id) WHERE finished_at IS NOT NULL;

  CREATE TABLE store_identity (id TEXT NOT NULL) STRICT;
  INSERT INTO store_identity (id) VALUES (lower(hex(randomblob(16))))
`)

/** Schedules that are made at run time are listed by their app; a key begins with it. */
const scheduleDefinitions = script(`
  ALTER TABLE schedules ADD COLUMN app TEXT;
  ALTER TABLE schedules ADD COLUMN run_id TEXT;
  ALTER TABLE schedules ADD COLUMN waiting TEXT NOT NULL DEFAULT '[]';
  ALTER TABLE schedules ADD COLUMN definition TEXT;
  UPDATE schedules SET app = substr(id, 1, instr(id, '/') - 1) WHERE instr(id, '/') > 0;
  CREATE INDEX schedules_by_app ON schedules (app);
`)

/** A run has to end by its deadline; runs that wait are looked up by it. */
const deadlines = script(`
  ALTER TABLE runs ADD COLUMN deadline INTEGER;
  CREATE INDEX runs_by_deadline ON runs (deadline, run_id) WHERE deadline IS NOT NULL AND state IN ('queued', 'suspended')
`)

/** The others who caused a run. */
const causes = script(`
  ALTER TABLE run_values ADD COLUMN causes TEXT
`)

/**
 * Lists by each filter have an index, for all runs of a tenant and for those of one owner, so that other runs cost them
 * nothing. `pending_interrupts` has the open interrupts of runs that have not ended, by who may decide them.
 *
 * Three small fields move to `runs`, because a list that reads them after a large payload reads the payload's pages too.
 */
const lists = script(`
  CREATE INDEX runs_by_state ON runs (tenant, state, run_id);
  CREATE INDEX runs_by_owner_state ON runs (tenant, owner, state, run_id);
  CREATE INDEX runs_by_agent ON runs (tenant, agent, run_id);
  CREATE INDEX runs_by_owner_agent ON runs (tenant, owner, agent, run_id);
  CREATE INDEX runs_by_kind ON runs (tenant, kind, run_id);
  CREATE INDEX runs_by_owner_kind ON runs (tenant, owner, kind, run_id);
  CREATE INDEX runs_by_wait ON runs (tenant, waits_for, run_id) WHERE waits_for IS NOT NULL;

  CREATE TABLE pending_interrupts (
    run_id TEXT NOT NULL,
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    audience TEXT NOT NULL,
    PRIMARY KEY (run_id, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX pending_by_audience ON pending_interrupts (tenant, audience, run_id, owner);
  CREATE INDEX pending_by_owner ON pending_interrupts (tenant, owner, run_id) WHERE audience = '';
  INSERT INTO pending_interrupts (run_id, id, tenant, owner, audience)
    SELECT run_id, id, tenant, owner, CASE WHEN json_extract(request, '$.approvers') IS NULL THEN '' ELSE
      '[' || json_extract(request, '$.approvers.scopes') || ',' ||
        CASE json_extract(request, '$.approvers.notRequester') WHEN 1 THEN 'true' ELSE 'false' END || ']' END
    FROM interrupts JOIN runs USING (run_id)
    WHERE interrupts.state = 'open' AND runs.state IN ('queued', 'running', 'suspended') AND json_valid(request);

  ALTER TABLE runs ADD COLUMN root_run_id TEXT;
  ALTER TABLE runs ADD COLUMN forked_from TEXT;
  ALTER TABLE runs ADD COLUMN causes TEXT;
  UPDATE runs SET (root_run_id, forked_from, causes) =
    (SELECT root_run_id, forked_from, causes FROM run_values WHERE run_values.run_id = runs.run_id);
  ALTER TABLE run_values DROP COLUMN causes;
  ALTER TABLE run_values DROP COLUMN root_run_id;
  ALTER TABLE run_values DROP COLUMN forked_from
`)

/** A run that was retried names the run that took its place. */
const retries = script("ALTER TABLE runs ADD COLUMN retried_as TEXT")

/** A store belongs to one app: the first that uses it. */
const app = script(`
  ALTER TABLE store_identity ADD COLUMN app TEXT
`)

/** Facts wait in `audit_outbox` until they are entries; an entry of a fact has its id, so that none is entered twice. */
const outbox = script(`
  CREATE TABLE audit_outbox (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    body TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX audit_outbox_by_time ON audit_outbox (at, id);
  ALTER TABLE audit ADD COLUMN fact TEXT;
  CREATE UNIQUE INDEX audit_by_fact ON audit (tenant, fact) WHERE fact IS NOT NULL
`)

/** Due runs are found by turns of their tenants: the index holds all that these queries read. */
const turns = script(`
  DROP INDEX runs_due;
  CREATE INDEX runs_due ON runs (agent, tenant, wake_at, priority, run_id, state, kind, waits_for)
    WHERE wake_at IS NOT NULL AND state IN ('queued', 'suspended')
`)

/** Conversations: threads with their messages. */
const threads = script(`
  CREATE TABLE threads (
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    forked_thread_id TEXT,
    forked_at INTEGER,
    PRIMARY KEY (tenant, owner, thread_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX threads_of_tenant ON threads (tenant, updated_at, owner, thread_id);
  CREATE INDEX threads_of_owner ON threads (tenant, owner, updated_at, thread_id);
  CREATE INDEX threads_by_change ON threads (updated_at);
  CREATE TABLE thread_messages (
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    size INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, owner, thread_id, position)
  ) STRICT
`)

/** Accounts that may do nothing, whatever they show. */
const disabledAccounts = script(`
  CREATE TABLE disabled_accounts (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
  ) STRICT, WITHOUT ROWID
`)

/** Facts that nodes share for a time; a note that replaces another one has a higher number. */
const sharedNotes = script(`
  CREATE TABLE shared_notes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    value TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX shared_notes_by_end ON shared_notes (expires_at)
`)

/** Addresses that are notified of runs. */
const pushTargets = script(`
  CREATE TABLE push_targets (
    run_id TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (run_id, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX push_targets_due ON push_targets (due_at)
`)

/** Runs that have ended, in the order of their ends: the index is written once for each run. */
const ends = script(`
  CREATE INDEX runs_ended_in_tenant ON runs (tenant, kind, state, finished_at, run_id, agent) WHERE finished_at IS NOT NULL;
  CREATE INDEX runs_ended_of_owner ON runs (tenant, owner, kind, state, finished_at, run_id, agent)
    WHERE finished_at IS NOT NULL
`)

/**
 * The indexes of lists get new runs later, many at once: a page of an index is then written once for many runs, not with
 * each commit. Until then a run is in `runs_unlisted`, which lists read too.
 */
const listed = script(`
  ALTER TABLE runs ADD COLUMN listed INTEGER NOT NULL DEFAULT 1;
  CREATE INDEX runs_unlisted ON runs (tenant, run_id) WHERE listed = 0;

  DROP INDEX runs_by_tenant;
  DROP INDEX runs_by_owner;
  DROP INDEX runs_by_state;
  DROP INDEX runs_by_owner_state;
  DROP INDEX runs_by_agent;
  DROP INDEX runs_by_owner_agent;
  DROP INDEX runs_by_kind;
  DROP INDEX runs_by_owner_kind;
  DROP INDEX runs_ended;
  DROP INDEX runs_ended_in_tenant;
  DROP INDEX runs_ended_of_owner;
  DROP INDEX runs_to_compact;
  CREATE INDEX runs_by_tenant ON runs (tenant, run_id) WHERE listed = 1;
  CREATE INDEX runs_by_owner ON runs (tenant, owner, run_id) WHERE listed = 1;
  CREATE INDEX runs_by_state ON runs (tenant, state, run_id) WHERE listed = 1;
  CREATE INDEX runs_by_owner_state ON runs (tenant, owner, state, run_id) WHERE listed = 1;
  CREATE INDEX runs_by_agent ON runs (tenant, agent, run_id) WHERE listed = 1;
  CREATE INDEX runs_by_owner_agent ON runs (tenant, owner, agent, run_id) WHERE listed = 1;
  CREATE INDEX runs_by_kind ON runs (tenant, kind, run_id) WHERE listed = 1;
  CREATE INDEX runs_by_owner_kind ON runs (tenant, owner, kind, run_id) WHERE listed = 1;
  CREATE INDEX runs_ended ON runs (state, finished_at, run_id) WHERE listed = 1 AND finished_at IS NOT NULL;
  CREATE INDEX runs_ended_in_tenant ON runs (tenant, kind, state, finished_at, run_id, agent)
    WHERE listed = 1 AND finished_at IS NOT NULL;
  CREATE INDEX runs_ended_of_owner ON runs (tenant, owner, kind, state, finished_at, run_id, agent)
    WHERE listed = 1 AND finished_at IS NOT NULL;
  CREATE INDEX runs_to_compact ON runs (finished_at, run_id)
    WHERE listed = 1 AND finished_at IS NOT NULL AND compacted >= 0
`)

/**
 * A row of events is too large for a table in the order of a key, which moves the end of such a row to a page of its own.
 * In the order of their arrival rows fill their pages.
 */
const arrival = script(`
  ALTER TABLE run_events RENAME TO run_events_by_key;
  CREATE TABLE run_events (
    run_id TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, last_seq)
  ) STRICT;
  INSERT INTO run_events (run_id, last_seq, first_seq, attempt, ts, body)
    SELECT run_id, last_seq, first_seq, attempt, ts, body FROM run_events_by_key;
  DROP TABLE run_events_by_key
`)

/**
 * Brings a database up to date; the table `migrations` records the migrations that have run.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, MigrationError | SqlError, SqlClient> = Layer.effectDiscard(
  migrate({
    "0001_runs": runs,
    "0002_audit": audit,
    "0003_api_keys": apiKeys,
    "0004_rate_counters": rateCounters,
    "0005_audit_chain": auditChain,
    "0006_budgets": budgets,
    "0007_waiting": waiting,
    "0008_suspended": suspended,
    "0009_schedules": schedules,
    "0010_compacted": compacted,
    "0011_schedule_definitions": scheduleDefinitions,
    "0012_deadlines": deadlines,
    "0013_causes": causes,
    "0014_lists": lists,
    "0015_retries": retries,
    "0016_app": app,
    "0017_audit_outbox": outbox,
    "0018_tenant_turns": turns,
    "0019_threads": threads,
    "0020_disabled_accounts": disabledAccounts,
    "0021_shared_notes": sharedNotes,
    "0022_push_targets": pushTargets,
    "0023_ends": ends,
    "0024_listed": listed,
    "0025_arrival": arrival
  })
)
