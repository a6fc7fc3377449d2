/** Prints `N passed, N failed, N skipped` from Vitest's JSON report, and fails when nothing passed or anything failed. */
import { existsSync, readFileSync } from "node:fs"

interface Report {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
}

/** Vitest writes no report when it could not start. */
const none: Report = { success: false, numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 }

const file = process.argv[2] ?? "build/tests.json"
const report: Report = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : none
const skipped = report.numPendingTests + report.numTodoTests

console.log(`${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skipped} skipped`)
if (!report.success || report.numPassedTests === 0) process.exitCode = 1
