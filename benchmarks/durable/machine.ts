// Describes the machine; the numbers mean nothing without it.
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { median } from "./measure.ts"

export const describeMachine = (): string =>
  `${cpus().length} x ${cpus()[0]?.model}, node ${process.version}, 4 KiB written and flushed to ${tmpdir()} in ` +
  `${flushMillis().toFixed(2)} ms, load before ${loadavg().map((one) => one.toFixed(1)).join(" ")}`

/** The least cost of a commit: the databases are in the same folder. */
const flushMillis = () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-flush-"))
  const file = openSync(join(folder, "file"), "w")
  const page = Buffer.alloc(4_096)
  const millis = Array.from({ length: 100 }, () => {
    const startedAt = performance.now()
    writeSync(file, page)
    fsyncSync(file)
    return performance.now() - startedAt
  })
  closeSync(file)
  rmSync(folder, { recursive: true })
  return median(millis)
}
