// Run records for the tests of this folder.
import type { Event } from "../../../src/run/Event.ts"
import type { RunRecord } from "../../../src/run/RunRecord.ts"
import type { Commit } from "../../../src/store/RunStore.ts"

/** A run of its first attempt that is running. */
export const recordOf = (runId: string): RunRecord => ({
  runId,
  kind: "agent",
  agent: "work",
  state: "running",
  attempt: 1,
  seq: 0,
  emitted: 0,
  crashes: 0,
  priority: 0,
  durable: true,
  tenant: "acme",
  owner: "ann",
  grants: { scopes: [], roles: [], claims: {} },
  payload: {},
  traceId: "0af7651916cd43dd8448eb211c80319c",
  fingerprint: "f",
  createdAt: 1,
  updatedAt: 1
})

export const commitOf = (runId: string, events: ReadonlyArray<Event> = []): Commit => ({
  _tag: "Commit",
  runId,
  attempt: 1,
  from: ["running"],
  ts: 2,
  events
})
