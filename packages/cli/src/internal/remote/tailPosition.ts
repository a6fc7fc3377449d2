// How far a tail has read: which runs are open, with the number of the last event that was printed, and which have ended
// lately. `--position` keeps it in a file, so that a killed tail continues; an event may then be printed twice, never not.
import { Effect, FileSystem, Option, Schema } from "effect"

const Numbers = Schema.Record(Schema.String, Schema.Int)

export const Position = Schema.Struct({
  /** The newest creation of a run that a list has shown, by the clock of its server. */
  newest: Schema.Int,
  open: Numbers,
  /** When the runs that have ended were created; only those that a list can still show as new. */
  ended: Numbers
})

const Json = Schema.fromJsonString(Position)

/** The file of `--position` cannot be used. */
export class BadPosition extends Schema.TaggedError<BadPosition>()("BadPosition", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `--position ${this.file}: ${this.problem}`
  }
}

/** Node clocks may differ by this much: lists are read again so far back. */
const overlapMillis = 10_000

export class TailPosition {
  newest = 0
  readonly open = new Map<string, number>()
  readonly ended = new Map<string, number>()

  /** Lists are read back to runs of this time. */
  get since() {
    return this.newest - overlapMillis
  }

  isKnown(runId: string) {
    return this.open.has(runId) || this.ended.has(runId)
  }

  saw(createdAt: number) {
    this.newest = Math.max(this.newest, createdAt)
  }

  end(runId: string, createdAt: number) {
    this.open.delete(runId)
    this.ended.set(runId, createdAt)
  }

  /** Forgets ended runs that no list shows as new any more. */
  prune() {
    for (const [runId, createdAt] of this.ended) if (createdAt < this.since) this.ended.delete(runId)
  }

  toJson() {
    const position = { newest: this.newest, open: Object.fromEntries(this.open), ended: Object.fromEntries(this.ended) }
    return JSON.stringify(position)
  }
}

/** The position that a file holds; `undefined` when there is no file yet. */
export const read = Effect.fnUntraced(function*(file: string) {
  const files = yield* FileSystem.FileSystem
  const bad = (problem: string) => new BadPosition({ file, problem })
  const text = yield* files.readFileString(file).pipe(
    Effect.asSome,
    Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone),
    Effect.mapError(() => bad("cannot be read"))
  )
  if (Option.isNone(text)) return undefined
  const { ended, newest, open } = yield* Effect.mapError(
    Schema.decodeEffect(Json)(text.value),
    () => bad("was not written by `fastagentic tail`; remove it to start now")
  )
  const position = new TailPosition()
  position.newest = newest
  for (const [runId, seq] of Object.entries(open)) position.open.set(runId, seq)
  for (const [runId, createdAt] of Object.entries(ended)) position.ended.set(runId, createdAt)
  return position
})

/** Writes the file as a whole or not at all. */
export const write = Effect.fnUntraced(function*(file: string, position: TailPosition) {
  const files = yield* FileSystem.FileSystem
  yield* files.writeFileString(`${file}.new`, position.toJson()).pipe(
    Effect.andThen(files.rename(`${file}.new`, file)),
    Effect.mapError(() => new BadPosition({ file, problem: "cannot be written" }))
  )
})
