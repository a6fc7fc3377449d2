// Copies the files of a folder that another folder does not have; `fastagentic store backup` copies blobs with it.
// A blob never changes once it is written, and one that is removed meanwhile belongs to a run that is gone.
import { Effect, FileSystem, type PlatformError } from "effect"
import { dirname, join } from "node:path"

/** Gives the number of files that were copied; a folder that does not exist has none. */
export const copyNewFiles = Effect.fnUntraced(function*(from: string, to: string) {
  const files = yield* FileSystem.FileSystem
  if (!(yield* files.exists(from))) return 0
  let count = 0
  for (const path of yield* files.readDirectory(from, { recursive: true })) {
    const [source, target] = [join(from, path), join(to, path)]
    const info = yield* orMissing(files.stat(source))
    if (info?.type !== "File" || (yield* files.exists(target))) continue
    yield* files.makeDirectory(dirname(target), { recursive: true, mode: 0o700 })
    const partial = `${target}.partial`
    if ((yield* orMissing(Effect.as(files.copyFile(source, partial), true))) !== true) continue
    yield* files.rename(partial, target)
    count++
  }
  return count
})

const orMissing = <A>(effect: Effect.Effect<A, PlatformError.PlatformError>) =>
  Effect.catchIf(effect, ({ reason }) => reason._tag === "NotFound", () => Effect.undefined)
