// One turn: a server under load for a fixed time. Called by compare.ts for one checkout and then for the other; the time
// is fixed and not the number of requests, so that a comparison ends when it said it would on a busy machine as well.
import { median } from "../durable/measure.ts"
import { sendWhile } from "../load.ts"
import type { Measured } from "../process.ts"
import type { Measure } from "./measures.ts"

export interface Turn {
  readonly cpuMillis: number
  readonly perSecond: number
  readonly p50Millis: number
}

const concurrency = 8

export const takeTurn = async (server: Measured, measure: Measure, millis: number): Promise<Turn> => {
  const taken: Array<number> = []
  const cpuBefore = server.threadMillis()
  const until = performance.now() + millis
  const seconds = await sendWhile(
    server.url,
    measure.load,
    () => performance.now() < until,
    concurrency,
    (one) => taken.push(one)
  )
  return {
    cpuMillis: (server.threadMillis() - cpuBefore) / taken.length,
    perSecond: taken.length / seconds,
    p50Millis: median(taken)
  }
}
