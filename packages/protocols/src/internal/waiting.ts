// Runs whose caller waits, for MCP: a call is answered with a suspended run when a person must act.
import { needsSomebody, type RunRecord } from "@fastagentic/core/run/RunRecord"

/** Whether a suspended run resumes without a decision: at a time, or when a child run ends. */
export const continuesByItself = (run: Pick<RunRecord, "state" | "waitsFor">): boolean =>
  run.state === "suspended" && !needsSomebody(run)
