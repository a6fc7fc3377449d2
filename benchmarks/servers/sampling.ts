/** Loaded into a measured server: SIGUSR2 starts to sample allocations, the next one writes the sum of bytes to `BYTES_FILE`. */
import { writeFileSync } from "node:fs"
import { type HeapProfiler, Session } from "node:inspector"

const session = new Session()
session.connect()
let isSampling = false

const sum = ({ children, selfSize }: HeapProfiler.SamplingHeapProfileNode): number =>
  children.reduce((bytes, child) => bytes + sum(child), selfSize)

process.on("SIGUSR2", () => {
  isSampling = !isSampling
  if (isSampling) {
    session.post("HeapProfiler.startSampling", {
      samplingInterval: 2_048,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true
    })
  } else {
    session.post("HeapProfiler.stopSampling", (_error, { profile }) => {
      writeFileSync(process.env["BYTES_FILE"] ?? "", String(sum(profile.head)))
    })
  }
})
