import { readFileSync } from "node:fs"
import { type Answer, eventsOf } from "./requests.ts"

/** The begin of a step, as seen from outside. */
interface Begun {
  readonly runId: string
  readonly step: string
  readonly attempt: number
  readonly at: number
}

export const begunIn = (log: string): ReadonlyArray<Begun> =>
  readFileSync(log, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))

/** The findings of one run; an intact one has only zeros. */
export interface Findings {
  gaps: number
  duplicates: number
  /** Steps that were begun after they had been committed. */
  again: number
  /**
   * Steps that an owner began after another had taken the run and committed them: it was stopped and did not know yet. Its
   * commits are refused; that it begins cannot be detected from outside its process.
   */
  late: number
}

/** Compares a journal with the begins seen from outside. */
export const examine = (
  events: ReadonlyArray<Answer["body"]>,
  lastSeq: number,
  begun: ReadonlyArray<Begun>
): Findings => {
  const seqs = events.map(({ seq }) => Number(seq))
  const found = { gaps: lastSeq - new Set(seqs).size, duplicates: seqs.length - new Set(seqs).size, again: 0, late: 0 }
  if (seqs.some((seq, index) => index > 0 && seq <= (seqs[index - 1] ?? 0))) found.duplicates++
  // An attempt ends where the next one begins.
  if (events.some(({ attempt }, index) => attempt < (events[index - 1]?.attempt ?? 0))) found.duplicates++
  const once = events.flatMap(({ data, type }) => {
    if (type === "checkpoint") return [`checkpoint ${data.checkpointId}`]
    if (type === "interrupt" || type === "interrupt_resolved") return [`${type} ${data.id}`]
    return type === "token" ? [`token ${data.delta}`] : type === "done" ? [type] : []
  })
  found.duplicates += once.length - new Set(once).size
  for (const { attempt, data, ts, type } of events) {
    if (type !== "checkpoint") continue
    const same = begun.filter(({ step }) => step === data.checkpointId)
    found.again += same.filter((one) => one.attempt > attempt).length
    found.again += Math.max(0, same.filter((one) => one.attempt === attempt).length - 1)
    found.late += same.filter((one) => one.attempt < attempt && one.at > ts).length
  }
  return found
}

/** Examines a run, or nothing when the server does not give it. */
export const examineRun = async (
  request: (path: string) => Promise<Answer | undefined>,
  runId: string,
  begun: ReadonlyArray<Begun>
): Promise<Findings | undefined> => {
  const run = await request(`/runs/${runId}`)
  const events = await eventsOf(request, runId)
  if (run?.status !== 200 || events === undefined) return undefined
  return examine(events, run.body.seq, begun.filter((one) => one.runId === runId))
}
