/** What every contender does in a step, and all that it does. */
import { appendFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"

const witness = process.env["WITNESS"] ?? ""

/** Answers a small JSON, after `millis`, and tells the witness who is working at what. */
export const work = async (step: number, millis: number) => {
  if (witness !== "") appendFileSync(witness, `${Date.now()} ${process.pid} ${step}\n`)
  if (millis > 0) await sleep(millis)
  return { step, state: "shipped" }
}
