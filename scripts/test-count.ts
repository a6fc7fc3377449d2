/** Prints `N passed, N failed, N skipped` from Vitest's JSON report, and fails when nothing passed or anything failed. */
import { readFileSync } from "node:fs"

interface Report {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
}

const report = JSON.parse(readFileSync(process.argv[2] ?? "build/tests.json", "utf8")) as Report
const skipped = report.numPendingTests + report.numTodoTests

console.log(`${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skipped} skipped`)
if (!report.success || report.numPassedTests === 0) process.exitCode = 1
