// Runs code that a remote server can make slow, such as a validator of its schema, for a bounded time: a pattern that
// backtracks for ever, or references that multiply, would stop the process. The check of schemas uses it.
import { type Context, createContext, Script } from "node:vm"

const script = new Script("work()")
let place: (Context & { work?: () => unknown }) | undefined

/** The time for one schema and one value. */
const millis = 250

/** Runs synchronous code, which throws when it takes too long. It must not call this again. */
export const within = <A>(work: () => A): A => {
  const context = place ??= createContext(Object.create(null))
  let result: { readonly value: A } | undefined
  context.work = () => {
    result = { value: work() }
  }
  try {
    script.runInContext(context, { timeout: millis })
  } finally {
    delete context.work
  }
  if (result === undefined) throw new Error("the check did not end")
  return result.value
}
