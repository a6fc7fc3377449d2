// The files of an input: those that it names are looked up for its caller, those that it brings are stored, and the run holds
// them all. Starts and signals call it; an input whose schema has no files is only decoded.
import { Effect, type Schema } from "effect"
import type { Shape } from "../../app/Fusion.ts"
import * as Timings from "../../base/Timings.ts"
import { bytesOf } from "../../run/Content.ts"
import { fileIdsIn, type FileValue, mapFiles, type Places } from "../../run/internal/filePlaces.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { Principal } from "../../run/Principal.ts"
import { InvalidPayload, RunError } from "../../run/RunError.ts"
import type { Files, Owner } from "../../store/Files.ts"
import type { Step } from "../../store/RunStore.ts"
import { decodeInput } from "./decodeInput.ts"
import { described, type SawFile, visibleFile } from "./runFiles.ts"

/** The input of a run that this principal gives; `owner` gets the files that come with it. */
export interface Given {
  readonly principal: Principal
  readonly owner: Owner
  readonly runId: string
  readonly target: string
  readonly shape: Shape
  readonly value: unknown
  readonly saw: SawFile
}

/** The input as it is stored, once it is known to fit. */
export const admitFiles = (files: Files["Service"], given: Given): Effect.Effect<Schema.Json, RunError> =>
  given.shape.files === undefined
    ? decodeInput(given.target, given.shape, given.value)
    : withFiles(files, given, given.shape.files)

const withFiles = Effect.fnUntraced(function*(
  files: Files["Service"],
  { owner, principal, runId, saw, shape, target, value }: Given,
  places: Places
): Effect.fn.Return<Schema.Json, RunError> {
  const held = new Set<string>()
  const invalid = (path: ReadonlyArray<string>, message: string) =>
    Effect.fail(new RunError({ reason: new InvalidPayload({ target, issues: [{ path, message }] }) }))
  const unknown = (fileId: string, path: ReadonlyArray<string>) =>
    invalid([...path, "fileId"], `There is no file "${fileId}"`)

  const find = (file: FileValue, path: ReadonlyArray<string>): Effect.Effect<unknown, RunError> => {
    const { fileId } = file
    if (typeof fileId !== "string") return Effect.succeed(file)
    held.add(fileId)
    return Effect.catchTags(
      Effect.map(visibleFile(files, principal, fileId, saw), (stored) => described(file, stored)),
      {
        FileNotFound: () => unknown(fileId, path),
        StoreUnavailable: (reason) => Effect.fail(new RunError({ reason }))
      }
    )
  }

  const keep = (file: FileValue): Effect.Effect<unknown, RunError> => {
    const { bytes: text, mediaType, name, ...rest } = file
    const bytes = typeof text === "string" ? bytesOf({ bytes: text }) : undefined
    if (bytes === undefined || typeof mediaType !== "string") return Effect.succeed(file)
    const stored = files.put(owner, { bytes, mediaType, ...(typeof name === "string" ? { name } : {}) })
    return asRunError(Effect.map(stored, (stored) => {
      held.add(stored.fileId)
      return described(rest, stored)
    }))
  }

  let count = 0
  const within =
    <A>(replace: (file: FileValue, path: ReadonlyArray<string>) => Effect.Effect<A, RunError>) =>
    (file: FileValue, path: ReadonlyArray<string>): Effect.Effect<A, RunError> =>
      ++count > Timings.inputFiles
        ? invalid(path, `Expected at most ${Timings.inputFiles} files`)
        : replace(file, path)

  const named = yield* mapFiles(places, value, within(find))
  const decoded = yield* decodeInput(target, shape, named)
  if (!files.areKept) return decoded
  const kept = yield* mapFiles(places, decoded, keep)
  for (const fileId of held) {
    if (!(yield* asRunError(files.hold(runId, fileId)))) return yield* unknown(fileId, [])
  }
  // cast: files were replaced by their descriptions, which are JSON.
  return kept as Schema.Json
})

/** A run that inherits the steps of another holds the files that they name. A file that is gone is missing to it as well. */
export const holdFiles = (
  files: Files["Service"],
  runId: string,
  steps: ReadonlyArray<Step>
): Effect.Effect<void, RunError> =>
  files.areKept
    ? asRunError(
      Effect.forEach(fileIdsIn(steps.map(({ value }) => value)), (fileId) => files.hold(runId, fileId), {
        discard: true
      })
    )
    : Effect.void
