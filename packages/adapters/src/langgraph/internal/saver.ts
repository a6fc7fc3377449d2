// Keeps a graph's checkpoints as steps of the run: LangGraph waits for each commit, and a resumed run reads them back before
// the graph starts. checkpoints.ts makes the commits; only the channels that a checkpoint has changed are stored with it.
import type { RunnableConfig } from "@langchain/core/runnables"
import type { Checkpoint, CheckpointMetadata, MemorySaver } from "@langchain/langgraph"
import { Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import type { Library } from "./library.ts"
import { Snapshot } from "./toolCallIds.ts"

const Encoded = Schema.Struct({
  type: Schema.String,
  text: Schema.optionalKey(Schema.String),
  bytes: Schema.optionalKey(Schema.String)
})

/** A thread other than the run's own, which a node may use. */
const thread = Schema.optionalKey(Schema.String)

const Put = Schema.Struct({
  op: Schema.Literal("put"),
  thread,
  ns: Schema.String,
  parent: Schema.NullOr(Schema.String),
  checkpoint: Encoded,
  metadata: Encoded,
  values: Schema.Record(Schema.String, Encoded),
  emptied: Schema.Array(Schema.String)
})

const Writes = Schema.Struct({
  op: Schema.Literal("writes"),
  thread,
  ns: Schema.String,
  checkpoint: Schema.String,
  task: Schema.String,
  path: Schema.String,
  writes: Schema.Array(Schema.Struct({ channel: Schema.String, value: Encoded }))
})

/** A thread with all its checkpoints is gone. */
const Delete = Schema.Struct({ op: Schema.Literal("delete"), thread })

/** The end of one invocation of the graph. */
const End = Schema.Struct({ op: Schema.Literal("end") })

/** One entry of the log; `format` is that of LangGraph's own serialisation. */
export const Op = Schema.Struct({
  format: Schema.Literal("langgraph-js/1"),
  entry: Schema.Union([Put, Writes, Delete, End]),
  /** The identities of the tool calls so far. */
  calls: Schema.optionalKey(Snapshot)
})

export type Op = typeof Op.Type

export const end: Op = { format: "langgraph-js/1", entry: { op: "end" } }

type Writing = Parameters<MemorySaver["putWrites"]>[1]
type Stored = Parameters<MemorySaver["put"]>
type Rest = Omit<Stored[1], "channel_values">

type Values = Readonly<Record<string, unknown>>

const keyOf = (...parts: ReadonlyArray<string>) => JSON.stringify(parts)

const decoder = new TextDecoder()

export interface Saver {
  readonly saver: MemorySaver
  readonly restore: (op: Op) => Promise<void>
}

/** A checkpointer for one run, whose thread it is; `commit` resolves once an entry is stored. */
export const makeSaver = ({ graph }: Library, threadId: string, commit: (op: Op) => Promise<void>): Saver => {
  /** The values of all channels, by checkpoint. */
  const known = new Map<string, Values>()

  const log = (entry: Op["entry"]) => commit({ format: "langgraph-js/1", entry })

  /** The thread of an entry: a fork of the run has another one as its own. */
  const elsewhere = (thread: unknown) => typeof thread === "string" && thread !== threadId ? { thread } : {}

  class RunSaver extends graph.MemorySaver {
    private async encode(value: unknown): Promise<typeof Encoded.Type> {
      const [type, bytes] = await this.serde.dumpsTyped(value)
      return type === "json" ? { type, text: decoder.decode(bytes) } : { type, bytes: Base64.encode(bytes) }
    }

    private decode({ bytes, text, type }: typeof Encoded.Type): unknown {
      return this.serde.loadsTyped(type, text ?? Buffer.from(bytes ?? "", "base64"))
    }

    /** Keeps a checkpoint, with those values of its parent that it has a version of and has not changed. */
    private keep(
      config: RunnableConfig,
      rest: Rest,
      metadata: Stored[2],
      changed: Values,
      emptied: ReadonlyArray<string>
    ) {
      const { checkpoint_id: parent, checkpoint_ns: ns = "", thread_id: thread } = config.configurable ?? {}
      const values: Record<string, unknown> = { ...changed }
      for (const [name, value] of Object.entries(known.get(keyOf(thread, ns, parent ?? "")) ?? {})) {
        if (name in rest.channel_versions && !(name in changed) && !emptied.includes(name)) values[name] = value
      }
      known.set(keyOf(thread, ns, rest.id), values)
      return super.put(config, { ...rest, channel_values: values }, metadata)
    }

    override async put(
      config: RunnableConfig,
      checkpoint: Checkpoint,
      metadata: CheckpointMetadata,
      versions: Record<string, number | string> = checkpoint.channel_versions
    ) {
      const { channel_values: all, ...rest } = checkpoint
      const names = Object.keys(versions)
      const changed: Record<string, unknown> = {}
      const values: Record<string, typeof Encoded.Type> = {}
      for (const name of names) {
        if (!(name in all)) continue
        changed[name] = all[name]
        values[name] = await this.encode(all[name])
      }
      const emptied = names.filter((name) => !(name in all))
      const { checkpoint_id: parent, checkpoint_ns: ns, thread_id: thread } = config.configurable ?? {}
      if (thread === undefined) return super.put(config, checkpoint, metadata)
      await log({
        op: "put",
        ...elsewhere(thread),
        ns: String(ns ?? ""),
        parent: typeof parent === "string" ? parent : null,
        checkpoint: await this.encode(rest),
        metadata: await this.encode(metadata),
        values,
        emptied
      })
      return this.keep(config, rest, metadata, changed, emptied)
    }

    override async putWrites(config: RunnableConfig, writes: Writing, taskId: string, taskPath = "") {
      const { checkpoint_id: id, checkpoint_ns: ns, thread_id: thread } = config.configurable ?? {}
      if (thread !== undefined && id !== undefined) {
        await log({
          op: "writes",
          ...elsewhere(thread),
          ns: String(ns ?? ""),
          checkpoint: String(id),
          task: taskId,
          path: taskPath,
          writes: await Promise.all(
            writes.map(async ([channel, value]) => ({ channel, value: await this.encode(value) }))
          )
        })
      }
      return super.putWrites(config, writes, taskId, taskPath)
    }

    override async deleteThread(thread: string) {
      await log({ op: "delete", ...elsewhere(thread) })
      return super.deleteThread(thread)
    }

    async restore({ entry }: Op) {
      if (entry.op === "end") return
      if (entry.op === "delete") return super.deleteThread(entry.thread ?? threadId)
      const configurable = { thread_id: entry.thread ?? threadId, checkpoint_ns: entry.ns }
      if (entry.op === "writes") {
        const writes = await Promise.all(
          entry.writes.map(async ({ channel, value }) => [channel, await this.decode(value)] as Writing[number])
        )
        const config = { configurable: { ...configurable, checkpoint_id: entry.checkpoint } }
        return super.putWrites(config, writes, entry.task, entry.path)
      }
      const changed: Record<string, unknown> = {}
      for (const [name, value] of Object.entries(entry.values)) changed[name] = await this.decode(value)
      // cast: what is read back is what `put` has stored.
      const rest = await this.decode(entry.checkpoint) as Rest
      // cast: as above.
      const metadata = await this.decode(entry.metadata) as Stored[2]
      const parent = entry.parent === null ? {} : { checkpoint_id: entry.parent }
      await this.keep({ configurable: { ...configurable, ...parent } }, rest, metadata, changed, entry.emptied)
    }
  }

  const saver = new RunSaver()
  return { saver, restore: (op) => saver.restore(op) }
}
