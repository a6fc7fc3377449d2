// Notices that the file of an open database was removed, replaced or emptied; connections ask before each transaction. The
// system would let a process write to a removed file for as long as it is open, and all of that would be lost.
import { statSync } from "node:fs"

/** Throws once the path no longer leads to the file that was opened. */
export const makeSameFile = (filename: string): () => void => {
  if (filename === ":memory:" || filename === "") return () => {}
  const opened = statSync(filename, { throwIfNoEntry: false })
  if (opened === undefined) return () => {}
  return () => {
    const now = statSync(filename, { throwIfNoEntry: false })
    if (now?.ino === opened.ino && now.dev === opened.dev && (now.size > 0 || opened.size === 0)) return
    const change = now === undefined ? "removed" : now.ino === opened.ino ? "emptied" : "replaced"
    throw new Error(`the file ${filename} was ${change} while this process had it open`)
  }
}
