/**
 * Prints `N passed, N failed, N skipped` from Vitest's JSON reports, and fails when in one of them nothing passed or anything
 * failed.
 */
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

const files = process.argv.length > 2 ? process.argv.slice(2) : ["build/tests.json", "build/trials.json"]
const reports = files.map((file): Report => existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : none)
const sum = (count: (report: Report) => number) => reports.reduce((all, report) => all + count(report), 0)
const skipped = sum((report) => report.numPendingTests + report.numTodoTests)

console.log(
  `${sum((report) => report.numPassedTests)} passed, ${
    sum((report) => report.numFailedTests)
  } failed, ${skipped} skipped`
)
if (reports.some(({ numPassedTests, success }) => !success || numPassedTests === 0)) process.exitCode = 1
