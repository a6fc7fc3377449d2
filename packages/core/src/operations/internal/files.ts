// Uploads and reads of files through the door, for the runtime. A file of somebody else looks like none.
import { Effect, Schema } from "effect"
import { problemsOf } from "../../base/Validation.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { MediaType, Name } from "../../run/Content.ts"
import type { NewFile } from "../../run/File.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import { FileNotFound, InvalidPayload, RunError } from "../../run/RunError.ts"
import { visibleFile } from "../../runtime/internal/runFiles.ts"
import type { Files } from "../../store/Files.ts"

const decodeAbout = Schema.decodeUnknownEffect(
  Schema.Struct({ mediaType: MediaType, name: Schema.optionalKey(Name) }),
  { errors: "all" }
)

export const makeFiles = (door: Door, files: Files["Service"]) => {
  const upload = Effect.fnUntraced(function*(caller: Caller, { bytes, mediaType, name }: NewFile) {
    const principal = yield* door.enter(caller, "files", [])
    const about = yield* Effect.mapError(
      decodeAbout({ mediaType, ...(name === undefined ? {} : { name }) }),
      (error) => new RunError({ reason: new InvalidPayload({ target: "file", issues: problemsOf(error) }) })
    )
    // The entry comes first: a kill in between leaves an entry without a file, and no file without an entry.
    return yield* asRunError(
      files.put(
        { tenant: principal.tenant, owner: principal.id },
        { bytes, ...about },
        ({ fileId }) => door.audit(caller, principal, "upload", `file/${fileId}`)
      )
    )
  })

  const file = Effect.fnUntraced(function*(caller: Caller, fileId: string) {
    const principal = yield* door.authenticate(caller)
    const stored = yield* asRunError(
      visibleFile(files, principal, fileId, (target, read) => door.saw(caller, principal, target, read))
    )
    const bytes = yield* asRunError(files.read(fileId))
    if (bytes === undefined) return yield* asRunError(Effect.fail(new FileNotFound({ fileId })))
    return { ...stored, bytes }
  })

  return { upload, file }
}
