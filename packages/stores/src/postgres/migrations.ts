/**
 * The tables of the stores, each migration once per database.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { migrate, script } from "../sql/migrate.ts"
import { createTakeRates } from "./internal/takeRates.ts"

/**
 * A record is two rows: `runs` holds the fields that commits change and is small, because a changed row is rewritten as
 * a whole; `run_values` holds fields that may be large and is written at most twice. Every page of `runs` keeps free
 * space, so that a commit that changes no state updates no index.
 *
 * An event row is all events of one commit, and its key is the last of their numbers.
 *
 * JSON is text, as it was written: `jsonb` refuses the character U+0000, loses the order of keys and rewrites numbers;
 * `json` would be parsed again for each insert, and the reader decodes the text anyway. Names are compared by their
 * bytes in every locale, so that pages of runs are in the order of their ids.
 *
 * `runs.node` is the node that claimed the run last. It owns the run until its lease in `nodes` ends.
 */
const runs = script(`
  CREATE TABLE runs (
    run_id text COLLATE "C" PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    attempt bigint NOT NULL,
    seq bigint NOT NULL,
    emitted bigint NOT NULL,
    durable smallint NOT NULL,
    thread_id text COLLATE "C",
    parent_run_id text COLLATE "C",
    idempotency_key text COLLATE "C",
    trace_id text COLLATE "C" NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    finished_at bigint,
    usage text,
    error text,
    node text COLLATE "C"
  ) WITH (fillfactor = 70);
  CREATE INDEX runs_by_owner ON runs (tenant, owner, run_id);
  CREATE INDEX runs_by_tenant ON runs (tenant, run_id);
  CREATE INDEX runs_by_thread ON runs (tenant, thread_id, run_id) WHERE thread_id IS NOT NULL;
  CREATE INDEX runs_unfinished ON runs (run_id) WHERE state IN ('queued', 'running');

  CREATE TABLE run_values (
    run_id text COLLATE "C" PRIMARY KEY,
    grants text NOT NULL,
    payload text NOT NULL,
    output text
  );

  CREATE TABLE run_events (
    run_id text COLLATE "C" NOT NULL,
    last_seq bigint NOT NULL,
    first_seq bigint NOT NULL,
    attempt bigint NOT NULL,
    ts bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (run_id, last_seq)
  );

  CREATE TABLE run_steps (
    run_id text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (run_id, name)
  );

  CREATE TABLE interrupts (
    run_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    request text NOT NULL,
    resolution text,
    PRIMARY KEY (run_id, id)
  );

  CREATE TABLE idempotency_keys (
    tenant text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, owner, kind, agent, key)
  );

  CREATE TABLE nodes (
    node text COLLATE "C" PRIMARY KEY,
    lease_until timestamptz NOT NULL
  )
`)

const audit = script(`
  CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    principal text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    decision text NOT NULL,
    run_id text,
    trace_id text NOT NULL
  );
  CREATE INDEX audit_by_tenant ON audit (tenant, id)
`)

/**
 * Existing steps get the number of the last event, because the event that committed them is not known. Existing queued
 * runs become due. A change of state updates the indexes of open, due, running and ended runs; an append updates none.
 */
const waiting = script(`
  ALTER TABLE runs
    ADD COLUMN crashes bigint NOT NULL DEFAULT 0,
    ADD COLUMN priority bigint NOT NULL DEFAULT 0,
    ADD COLUMN wake_at bigint,
    ADD COLUMN waits_for text COLLATE "C";
  ALTER TABLE run_values ADD COLUMN root_run_id text COLLATE "C", ADD COLUMN forked_from text;
  ALTER TABLE run_steps ADD COLUMN seq bigint NOT NULL DEFAULT 0;
  UPDATE run_steps SET seq = runs.seq FROM runs WHERE runs.run_id = run_steps.run_id;
  UPDATE runs SET wake_at = updated_at WHERE state = 'queued';

  DROP INDEX runs_unfinished;
  CREATE INDEX runs_running ON runs (kind, agent, tenant, run_id) WHERE state = 'running';
  CREATE INDEX runs_due ON runs (wake_at, agent, priority, state, run_id)
    WHERE wake_at IS NOT NULL AND state IN ('queued', 'suspended');
  CREATE INDEX runs_open_in_thread ON runs (tenant, owner, thread_id, run_id)
    WHERE thread_id IS NOT NULL AND state IN ('queued', 'running', 'suspended');
  CREATE INDEX runs_by_parent ON runs (tenant, parent_run_id, run_id) WHERE parent_run_id IS NOT NULL;
  CREATE INDEX runs_finished ON runs (finished_at, run_id) WHERE finished_at IS NOT NULL
`)

const apiKeys = script(`
  CREATE TABLE api_keys (
    prefix text COLLATE "C" PRIMARY KEY,
    hash text NOT NULL,
    id text NOT NULL,
    tenant text NOT NULL,
    scopes text NOT NULL,
    roles text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint
  )
`)

/** Every page keeps free space for new versions of rows: a counter changes with every call, its key never. */
const rateCounters = script(`
  CREATE TABLE rate_counters (
    key text COLLATE "C" PRIMARY KEY,
    used double precision NOT NULL,
    since double precision NOT NULL,
    ends_at double precision NOT NULL
  ) WITH (fillfactor = 50)
`).pipe(Effect.andThen(SqlClient.use((sql) => sql.unsafe(createTakeRates).unprepared)))

/** Entries from before the chain are kept in a table that is not read any more. */
const auditChain = script(`
  ALTER TABLE audit RENAME TO audit_unchained;

  CREATE TABLE audit (
    tenant text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    hash text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, seq)
  );

  CREATE TABLE audit_chains (
    tenant text COLLATE "C" PRIMARY KEY,
    seq bigint NOT NULL,
    hash text COLLATE "C" NOT NULL
  ) WITH (fillfactor = 50);

  CREATE TABLE audit_heads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    hash text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    signer text COLLATE "C" NOT NULL,
    signature text COLLATE "C" NOT NULL
  );
  CREATE INDEX audit_heads_by_tenant ON audit_heads (tenant, seq);

  CREATE TABLE audit_keys (
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant, id)
  );
  CREATE INDEX audit_keys_by_subject ON audit_keys (tenant, subject)
`)

/** `keys` are the counters that a reservation belongs to. */
const budgets = script(`
  CREATE TABLE budgets (
    key text COLLATE "C" PRIMARY KEY,
    settled bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0
  ) WITH (fillfactor = 70);

  CREATE TABLE reservations (
    id text COLLATE "C" PRIMARY KEY,
    keys text[] NOT NULL,
    amount bigint NOT NULL,
    expires_at timestamptz NOT NULL
  );
  CREATE INDEX reservations_by_end ON reservations (expires_at);

  CREATE TABLE usage (
    tenant text COLLATE "C" NOT NULL,
    day text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    calls bigint NOT NULL,
    unpriced bigint NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cache_read_tokens bigint NOT NULL,
    cache_write_tokens bigint NOT NULL,
    cost bigint NOT NULL,
    PRIMARY KEY (tenant, day, owner, agent, model)
  ) WITH (fillfactor = 70)
`)

/** Each start reads the suspended runs to find those of other definitions. */
const suspended = script(`
  CREATE INDEX runs_suspended ON runs (run_id) WHERE state = 'suspended'
`)

const schedules = script(`
  CREATE TABLE schedules (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    upto bigint NOT NULL,
    fired bigint,
    paused smallint NOT NULL
  )
`)

/** The key of the advisory lock; no other code locks it. */
const lockId = 7_025_411_392

/**
 * `compacted` is the number of the last event that compaction has read, or -1 once it is done. The index does not
 * contain `seq`, because every append would update it.
 */
const compacted = script(`
  ALTER TABLE runs ADD COLUMN compacted bigint NOT NULL DEFAULT 0;
  CREATE INDEX runs_to_compact ON runs (finished_at, run_id) WHERE finished_at IS NOT NULL AND compacted >= 0;

  DROP INDEX runs_finished;
  CREATE INDEX runs_ended ON runs (state, finished_at, run_id) WHERE finished_at IS NOT NULL;

  CREATE TABLE store_identity (id text NOT NULL);
  INSERT INTO store_identity (id) VALUES (md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text))
`)

/** Schedules that are made at run time are listed by their app; a key begins with it. */
const scheduleDefinitions = script(`
  ALTER TABLE schedules ADD COLUMN app text COLLATE "C";
  ALTER TABLE schedules ADD COLUMN run_id text COLLATE "C";
  ALTER TABLE schedules ADD COLUMN waiting text NOT NULL DEFAULT '[]';
  ALTER TABLE schedules ADD COLUMN definition text;
  UPDATE schedules SET app = split_part(id, '/', 1) WHERE position('/' in id) > 0;
  CREATE INDEX schedules_by_app ON schedules (app)
`)

/** A run has to end by its deadline; runs that wait are looked up by it. */
const deadlines = script(`
  ALTER TABLE runs ADD COLUMN deadline bigint;
  CREATE INDEX runs_by_deadline ON runs (deadline, run_id) WHERE deadline IS NOT NULL AND state IN ('queued', 'suspended')
`)

/** The others who caused a run. */
const causes = script(`
  ALTER TABLE run_values ADD COLUMN causes text
`)

/**
 * Lists by each filter have an index, for all runs of a tenant and for those of one owner, so that other runs cost them
 * nothing. `pending_interrupts` has the open interrupts of runs that have not ended, by who may decide them.
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
    run_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    audience text COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, id)
  );
  CREATE INDEX pending_by_audience ON pending_interrupts (tenant, audience, run_id, owner);
  CREATE INDEX pending_by_owner ON pending_interrupts (tenant, owner, run_id) WHERE audience = '';
  INSERT INTO pending_interrupts (run_id, id, tenant, owner, audience)
    SELECT run_id, id, tenant, owner, CASE WHEN request::json -> 'approvers' IS NULL THEN '' ELSE
      '[' || (request::json #> '{approvers,scopes}')::text || ',' || (request::json #> '{approvers,notRequester}')::text
        || ']' END
    FROM interrupts JOIN runs USING (run_id)
    WHERE interrupts.state = 'open' AND runs.state IN ('queued', 'running', 'suspended');

  ALTER TABLE runs ADD COLUMN root_run_id text COLLATE "C", ADD COLUMN forked_from text, ADD COLUMN causes text;
  UPDATE runs SET root_run_id = run_values.root_run_id, forked_from = run_values.forked_from, causes = run_values.causes
    FROM run_values
    WHERE run_values.run_id = runs.run_id AND COALESCE(run_values.root_run_id, run_values.forked_from, run_values.causes)
      IS NOT NULL;
  ALTER TABLE run_values DROP COLUMN root_run_id, DROP COLUMN forked_from, DROP COLUMN causes
`)

/** A run that was retried names the run that took its place. */
const retries = script("ALTER TABLE runs ADD COLUMN retried_as text")

/** A store belongs to one app: the first that uses it. */
const app = script(`
  ALTER TABLE store_identity ADD COLUMN app text
`)

/** Facts wait in `audit_outbox` until they are entries; an entry of a fact has its id, so that none is entered twice. */
const outbox = script(`
  CREATE TABLE audit_outbox (
    id text COLLATE "C" PRIMARY KEY,
    at bigint NOT NULL,
    body text NOT NULL
  );
  CREATE INDEX audit_outbox_by_time ON audit_outbox (at, id);
  ALTER TABLE audit ADD COLUMN fact text COLLATE "C";
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
    tenant text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    thread_id text COLLATE "C" NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    messages bigint NOT NULL,
    forked_thread_id text COLLATE "C",
    forked_at bigint,
    PRIMARY KEY (tenant, owner, thread_id)
  );
  CREATE INDEX threads_of_tenant ON threads (tenant, updated_at, owner, thread_id);
  CREATE INDEX threads_of_owner ON threads (tenant, owner, updated_at, thread_id);
  CREATE INDEX threads_by_change ON threads (updated_at);
  CREATE TABLE thread_messages (
    tenant text COLLATE "C" NOT NULL,
    owner text COLLATE "C" NOT NULL,
    thread_id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    size bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (tenant, owner, thread_id, position)
  )
`)

/** Accounts that may do nothing, whatever they show. */
const disabledAccounts = script(`
  CREATE TABLE disabled_accounts (
    tenant text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (tenant, id)
  )
`)

/** Facts that nodes share for a time, and the number of the last one. */
const sharedNotes = script(`
  CREATE TABLE shared_notes (
    key TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    value TEXT NOT NULL,
    expires_at BIGINT NOT NULL
  );
  CREATE INDEX shared_notes_by_number ON shared_notes (seq);
  CREATE INDEX shared_notes_by_end ON shared_notes (expires_at);
  CREATE TABLE shared_note_numbers (seq BIGINT NOT NULL);
  INSERT INTO shared_note_numbers VALUES (0)
`)

/** Addresses that are notified of runs. */
const pushTargets = script(`
  CREATE TABLE push_targets (
    run_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    due_at bigint NOT NULL,
    target text NOT NULL,
    PRIMARY KEY (run_id, id)
  );
  CREATE INDEX push_targets_due ON push_targets (due_at)
`)

/** Files and large values, in chunks. */
const blobs = script(`
  CREATE TABLE blobs (
    key text COLLATE "C" PRIMARY KEY,
    size bigint NOT NULL,
    at bigint NOT NULL
  );
  CREATE TABLE blob_chunks (
    key text COLLATE "C" NOT NULL REFERENCES blobs (key) ON DELETE CASCADE,
    position bigint NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (key, position)
  )
`)

/** Runs that have ended, in the order of their ends: the index is written once for each run. */
const ends = script(`
  CREATE INDEX runs_ended_in_tenant ON runs (tenant, kind, state, finished_at, run_id, agent) WHERE finished_at IS NOT NULL;
  CREATE INDEX runs_ended_of_owner ON runs (tenant, owner, kind, state, finished_at, run_id, agent)
    WHERE finished_at IS NOT NULL
`)

/**
 * Brings a database up to date; the table `migrations` records the migrations that have run. A lock lets nodes that
 * start together migrate one after the other.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, MigrationError | SqlError, SqlClient> = Layer.effectDiscard(
  SqlClient.use((sql) =>
    sql.withTransaction(
      Effect.andThen(
        sql`SELECT pg_advisory_xact_lock(${lockId})`,
        migrate({
          "0001_runs": runs,
          "0002_audit": audit,
          "0003_api_keys": apiKeys,
          "0004_rate_counters": Effect.asVoid(rateCounters),
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
          "0023_blobs": blobs,
          "0024_ends": ends
        })
      )
    )
  )
)
