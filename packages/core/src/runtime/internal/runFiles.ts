// The files of a run: those that its owner may read, those that it saves, and those that its tools are given. CurrentRun offers
// them to handlers; a store that is away is waited for, as for every call of a handler.
import { Effect } from "effect"
import * as Base64 from "effect/encoding/Base64"
import * as Authorization from "../../door/Authorization.ts"
import type { File, NewFile } from "../../run/File.ts"
import { mapFiles, type Places } from "../../run/internal/filePlaces.ts"
import type { Principal } from "../../run/Principal.ts"
import { FileNotFound, type StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { Files, Stored } from "../../store/Files.ts"
import { untilStored } from "./storeAway.ts"

export interface RunFiles {
  readonly read: (fileId: string) => Effect.Effect<Uint8Array, FileNotFound>
  readonly save: (file: NewFile) => Effect.Effect<File>
  /** The value with what is known about the stored files that it names. */
  readonly resolve: (places: Places, value: unknown) => Effect.Effect<unknown, FileNotFound>
}

/** Records that a file was seen; of somebody else that is a line of the audit log. */
export type SawFile = (target: string, read: { readonly owner: string }) => Effect.Effect<void>

/** The stored file, when this principal may see it: its owner, and those who may see all runs of the tenant. */
export const visibleFile = (
  files: Files["Service"],
  principal: Principal,
  fileId: string,
  saw: SawFile
): Effect.Effect<Stored, FileNotFound | StoreUnavailable> =>
  Effect.flatMap(
    files.find(fileId),
    (found) =>
      found !== undefined && Authorization.sees(principal, found)
        ? Effect.as(saw(`file/${fileId}`, { owner: found.owner }), found)
        : Effect.fail(new FileNotFound({ fileId }))
  )

/** A file value that names a stored file says of it what the server knows. */
export const described = (value: object, { fileId, mediaType, name, size }: Stored) => {
  const { name: _name, ...rest }: { readonly name?: unknown } = value
  return { ...rest, fileId, mediaType, ...(name === undefined ? {} : { name }), size }
}

export const makeRunFiles = (
  files: Files["Service"],
  run: RunRecord,
  principal: Principal,
  saw: SawFile
): RunFiles => ({
  read: Effect.fnUntraced(function*(fileId) {
    yield* untilFound(visibleFile(files, principal, fileId, saw))
    const bytes = yield* Effect.orDie(untilStored(files.read(fileId)))
    return bytes ?? (yield* new FileNotFound({ fileId }))
  }),
  save: Effect.fnUntraced(function*(file) {
    const inline = () => inlineFile(file)
    if (!files.areKept) return inline()
    const { tenant, owner } = run
    const put = Effect.catchTag(files.put({ tenant, owner }, file), "FilesUnavailable", () => Effect.undefined)
    const stored = yield* Effect.orDie(untilStored(put))
    if (stored === undefined) return inline()
    yield* Effect.orDie(untilStored(files.hold(run.runId, stored.fileId)))
    return fileOf(stored)
  }),
  resolve: (places, value) =>
    mapFiles(places, value, (file) =>
      typeof file.fileId !== "string"
        ? Effect.succeed(file)
        : Effect.map(untilFound(visibleFile(files, principal, file.fileId, saw)), (stored) => described(file, stored)))
})

const untilFound = <A>(effect: Effect.Effect<A, FileNotFound | StoreUnavailable>): Effect.Effect<A, FileNotFound> =>
  Effect.catchTag(untilStored(effect), "StoreUnavailable", Effect.die)

const fileOf = ({ fileId, mediaType, name, size }: Stored): File => ({
  mediaType,
  ...(name === undefined ? {} : { name }),
  size,
  fileId
})

const inlineFile = ({ bytes, mediaType, name }: NewFile): File => ({
  mediaType,
  ...(name === undefined ? {} : { name }),
  size: bytes.length,
  bytes: Base64.encode(bytes)
})
