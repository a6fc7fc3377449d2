// Reads and writes a small file of the app. A reader, another node and the start after a crash find the file before or after a
// write, never a part of it. TokenStore.ts and pins.ts use it.
import { randomUUID } from "node:crypto"
import { mkdir, open, readFile, rename, rm } from "node:fs/promises"
import { dirname } from "node:path"

/** Nothing when there is no file. */
export const readWhole = (path: string): Promise<Buffer | undefined> =>
  readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined
    throw error
  })

/** Replaces the file; the mode holds for the new one, whatever the old one had. */
export const writeWhole = async (path: string, content: string | Uint8Array, mode: number): Promise<void> => {
  await mkdir(dirname(path), { recursive: true })
  const beside = `${path}.${randomUUID()}.tmp`
  try {
    const file = await open(beside, "wx", mode)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}
