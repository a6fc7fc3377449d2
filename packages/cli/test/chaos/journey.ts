import { setTimeout as sleep } from "node:timers/promises"
import { type Answer, post } from "./requests.ts"

/** The result of a requested run. */
export interface Arrival {
  runId: string | undefined
  state: string
  output: unknown
  repairs: number
  /** Answers that are always faults. */
  readonly wrong: Array<string>
}

type Request = (path: string, init?: RequestInit) => Promise<Answer | undefined>

const final = new Set(["completed", "failed", "cancelled", "rejected"])

/**
 * Starts a run and sees it through: asks until there is an answer, decides what it asks, lets it go on when it is held
 * back.
 */
export const travel = async (number: number, request: Request, until: () => boolean): Promise<Arrival> => {
  const arrival: Arrival = { runId: undefined, state: "lost", output: undefined, repairs: 0, wrong: [] }
  const agent = isParley(number) ? "parley" : "journey"
  const key = {
    "idempotency-key": `${agent} ${number}`,
    ...(isParley(number) ? { "x-thread-id": threadOf(number) } : {})
  }
  const fits = (what: string, answer: Answer | undefined) => {
    if (answer === undefined || answer.status === 503) return false
    if (answer.status < 300) return true
    arrival.wrong.push(`${what}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return false
  }
  while (!until()) {
    await sleep(100)
    if (arrival.runId === undefined) {
      const admitted = await request(`/agents/${agent}/runs`, post({ number }, key))
      if (fits("start", admitted)) arrival.runId = admitted?.body.runId
      continue
    }
    const at = `/runs/${arrival.runId}`
    const run = await request(at)
    if (!fits("look", run)) continue
    const { output, state, waitsFor } = run?.body ?? {}
    if (final.has(state)) return Object.assign(arrival, { state, output })
    if (waitsFor === "repair" && fits("resume", await request(`${at}/resume`, post({})))) arrival.repairs++
    if (waitsFor === "interrupt") await decide(at, request, fits)
    if (isParley(number) && state !== "queued") {
      fits(
        "signal",
        await request(`${at}/signals/note`, post(`note ${number}`, { "idempotency-key": `note ${number}` }))
      )
    }
  }
  return arrival
}

const decide = async (at: string, request: Request, fits: (what: string, answer: Answer | undefined) => boolean) => {
  const interrupts = await request(`${at}/interrupts`)
  if (!fits("questions", interrupts)) return
  for (const { id, name, state } of interrupts?.body.items ?? []) {
    const answer = { decision: "approve", value: `${name}?` }
    if (state === "open") fits("decide", await request(`${at}/interrupts/${id}`, post(answer)))
  }
}

export const outputOf = (number: number) =>
  isParley(number)
    ? `${number}: left/what? more,right/what? more,note ${number},quick`
    : `one,two,where?,three,errand ${number},four,when?,five`

/** Every third run has branches, a message and a thread. */
export const isParley = (number: number) => number % 3 === 2

export const threadOf = (number: number) => `talk ${Math.floor(number / 3) % 5}`
