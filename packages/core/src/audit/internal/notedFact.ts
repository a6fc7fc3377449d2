// An entry as a write brings it, and as it is read back from an outbox. AuditOutbox makes and reads them.
import { Effect, Option, Schema } from "effect"
import type { Fact } from "../../store/RunStore.ts"
import { Entry, type Noted } from "../Audit.ts"

/** An entry that goes with a write. Its text is made only when a store keeps it. */
export class NotedFact implements Fact {
  readonly id: string
  readonly entry: Entry
  /** Whether a write that brought it is committed. */
  isCommitted = false

  constructor(id: string, entry: Entry) {
    this.id = id
    this.entry = entry
  }

  get at() {
    return this.entry.at
  }

  get body() {
    return JSON.stringify(this.entry)
  }
}

const decodeEntry = Schema.decodeUnknownEffect(Schema.fromJsonString(Entry))

/** A fact that cannot be read stays in the outbox, where verification counts it. */
export const readable = ({ body, id }: Fact): Effect.Effect<Option.Option<Noted>> =>
  decodeEntry(body).pipe(
    Effect.map((entry) => Option.some({ id, entry })),
    Effect.catch((error) =>
      Effect.as(
        Effect.annotateLogs(Effect.logError("A fact for the audit log cannot be read", error), { fact: id }),
        Option.none()
      )
    )
  )
