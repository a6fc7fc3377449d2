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

const Put = Schema.Struct({
  op: Schema.Literal("put"),
  ns: Schema.String,
  parent: Schema.NullOr(Schema.String),
  checkpoint: Encoded,
  metadata: Encoded,
  values: Schema.Record(Schema.String, Encoded),
  emptied: Schema.Array(Schema.String)
})

const Writes = Schema.Struct({
  op: Schema.Literal("writes"),
  ns: Schema.String,
  checkpoint: Schema.String,
  task: Schema.String,
  path: Schema.String,
  writes: Schema.Array(Schema.Struct({ channel: Schema.String, value: Encoded }))
})

/** The end of one invocation of the graph. */
const End = Schema.Struct({ op: Schema.Literal("end") })

/** One entry of the log; `format` is that of LangGraph's own serialisation. */
export const Op = Schema.Struct({
  format: Schema.Literal("langgraph-js/1"),
  entry: Schema.Union([Put, Writes, End]),
  /** The identities of the tool calls so far. */
  calls: Schema.optionalKey(Snapshot)
})

export type Op = typeof Op.Type

export const end: Op = { format: "langgraph-js/1", entry: { op: "end" } }

type Writing = Parameters<MemorySaver["putWrites"]>[1]
type Stored = Parameters<MemorySaver["put"]>

const keyOf = (ns: string, id: string) => `${ns} ${id}`

const decoder = new TextDecoder()

export interface Saver {
  readonly saver: MemorySaver
  readonly restore: (op: Op) => Promise<void>
}

/** A checkpointer for one run, whose thread it is; `commit` resolves once an entry is stored. */
export const makeSaver = ({ graph }: Library, threadId: string, commit: (op: Op) => Promise<void>): Saver => {
  /** The values of all channels, by checkpoint. */
  const known = new Map<string, Readonly<Record<string, unknown>>>()

  class RunSaver extends graph.MemorySaver {
    private async encode(value: unknown): Promise<typeof Encoded.Type> {
      const [type, bytes] = await this.serde.dumpsTyped(value)
      return type === "json" ? { type, text: decoder.decode(bytes) } : { type, bytes: Base64.encode(bytes) }
    }

    private decode({ bytes, text, type }: typeof Encoded.Type): unknown {
      return this.serde.loadsTyped(type, text ?? Buffer.from(bytes ?? "", "base64"))
    }

    override async put(
      config: RunnableConfig,
      checkpoint: Checkpoint,
      metadata: CheckpointMetadata,
      versions: Record<string, number | string> = checkpoint.channel_versions
    ) {
      const { channel_values: all, ...rest } = checkpoint
      const names = Object.keys(versions)
      const values: Record<string, typeof Encoded.Type> = {}
      for (const name of names) if (name in all) values[name] = await this.encode(all[name])
      const ns = String(config.configurable?.["checkpoint_ns"] ?? "")
      const parent: unknown = config.configurable?.["checkpoint_id"]
      await commit({
        format: "langgraph-js/1",
        entry: {
          op: "put",
          ns,
          parent: typeof parent === "string" ? parent : null,
          checkpoint: await this.encode(rest),
          metadata: await this.encode(metadata),
          values,
          emptied: names.filter((name) => !(name in all))
        }
      })
      known.set(keyOf(ns, checkpoint.id), { ...all })
      return super.put(config, checkpoint, metadata)
    }

    override async putWrites(config: RunnableConfig, writes: Writing, taskId: string, taskPath = "") {
      await commit({
        format: "langgraph-js/1",
        entry: {
          op: "writes",
          ns: String(config.configurable?.["checkpoint_ns"] ?? ""),
          checkpoint: String(config.configurable?.["checkpoint_id"] ?? ""),
          task: taskId,
          path: taskPath,
          writes: await Promise.all(
            writes.map(async ([channel, value]) => ({ channel, value: await this.encode(value) }))
          )
        }
      })
      return super.putWrites(config, writes, taskId, taskPath)
    }

    async restore({ entry }: Op) {
      if (entry.op === "end") return
      const configurable = { thread_id: threadId, checkpoint_ns: entry.ns }
      if (entry.op === "writes") {
        const writes = await Promise.all(
          entry.writes.map(async ({ channel, value }) => [channel, await this.decode(value)] as Writing[number])
        )
        const config = { configurable: { ...configurable, checkpoint_id: entry.checkpoint } }
        return super.putWrites(config, writes, entry.task, entry.path)
      }
      const values: Record<string, unknown> = { ...known.get(keyOf(entry.ns, entry.parent ?? "")) }
      for (const name of entry.emptied) delete values[name]
      for (const [name, value] of Object.entries(entry.values)) values[name] = await this.decode(value)
      // cast: what is read back is what `put` has stored.
      const rest = await this.decode(entry.checkpoint) as Omit<Stored[1], "channel_values">
      // cast: as above.
      const metadata = await this.decode(entry.metadata) as Stored[2]
      known.set(keyOf(entry.ns, rest.id), values)
      const config = {
        configurable: entry.parent === null ? configurable : { ...configurable, checkpoint_id: entry.parent }
      }
      await super.put(config, { ...rest, channel_values: values }, metadata)
    }
  }

  const saver = new RunSaver()
  return { saver, restore: (op) => saver.restore(op) }
}
