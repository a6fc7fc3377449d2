// Runs whose caller waits: shared by MCP and A2A, which answer with a paused run only when somebody has to act.
import { needsSomebody, type RunRecord } from "@fastagentic/core/run/RunRecord"

/** Whether a run pauses for something that comes by itself: a time, or the end of a run that it has started. */
export const continuesByItself = (run: Pick<RunRecord, "state" | "waitsFor">): boolean =>
  run.state === "suspended" && !needsSomebody(run)
