// The run as a handler sees it, with some of its calls replaced: inside of a side effect, inside of an undo, and in a replay.
// Its members are getters, which a spread would not copy.
import type { CurrentRun } from "../../run/Run.ts"

export const withCalls = (
  run: CurrentRun["Service"],
  calls: Partial<CurrentRun["Service"]>
): CurrentRun["Service"] => Object.create(run, Object.getOwnPropertyDescriptors(calls))
