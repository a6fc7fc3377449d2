/** The work of a step, the same for every contender. */
import { appendFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"

const witness = process.env["WITNESS"] ?? ""

/** Returns a small JSON after `millis`, and reports the worker and the step to the witness. */
export const work = async (step: number, millis: number) => {
  if (witness !== "") appendFileSync(witness, `${Date.now()} ${process.pid} ${step}\n`)
  if (millis > 0) await sleep(millis)
  return { step, state: "shipped" }
}
