// The definitions of a server's tools as they were first seen, in memory or in a file of the app. remote.ts compares each list
// with them: a model never reads a definition that was not pinned. declared.ts reads the same file.
import { Effect, Option, Result, Schema } from "effect"
import { type Pinned, Pins } from "../RemoteDefinition.ts"
import { PinsUnusable } from "../RemoteError.ts"
import { readWhole, writeWhole } from "./wholeFile.ts"

export interface PinStore {
  /** The pinned tools; undefined before the first contact. */
  readonly get: () => Pins["tools"] | undefined
  readonly set: (tools: Pins["tools"]) => Effect.Effect<void, PinsUnusable>
}

/** The definitions that the declaration brings with it, those of a file, or those of this process. */
export const make = Effect.fnUntraced(function*(
  server: string,
  file: string | undefined
): Effect.fn.Return<PinStore, PinsUnusable> {
  let tools = file === undefined ? undefined : yield* read(server, file)
  return {
    get: () => tools,
    set: (changed) =>
      Effect.andThen(
        file === undefined ? Effect.void : write(file, { server, tools: ordered(changed) }),
        Effect.sync(() => {
          tools = changed
        })
      )
  }
})

const ordered = (tools: { readonly [name: string]: Pinned }) =>
  Object.fromEntries(Object.entries(tools).toSorted(([a], [b]) => a < b ? -1 : 1))

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Pins))

export const messageOf = (error: unknown) => error instanceof Error ? error.message : String(error)

const read = Effect.fnUntraced(function*(server: string, file: string) {
  const text = yield* Effect.tryPromise({
    try: () => readWhole(file).then((bytes) => bytes?.toString("utf8")),
    catch: (error) => new PinsUnusable({ file, problem: messageOf(error) })
  })
  return text === undefined ? undefined : yield* Effect.fromResult(toolsIn(server, file, text))
})

/** The pinned tools in the text of a file. */
export const toolsIn = (server: string, file: string, text: string): Result.Result<Pins["tools"], PinsUnusable> => {
  const pins = Option.getOrUndefined(decode(text))
  if (pins?.server === server) return Result.succeed(pins.tools)
  const problem = pins === undefined ? "it is not a file of pinned tools" : `it belongs to the server "${pins.server}"`
  return Result.fail(new PinsUnusable({ file, problem }))
}

const write = (file: string, pins: Pins) =>
  Effect.tryPromise({
    try: () => writeWhole(file, `${JSON.stringify(pins, null, 2)}\n`, 0o644),
    catch: (error) => new PinsUnusable({ file, problem: messageOf(error) })
  })
