/**
 * Prints the tests that failed and `N passed, N failed, N skipped` from Vitest's JSON reports, and fails when in one of them
 * nothing passed or anything failed. CI shows the end of its output only, so the names of failures belong there.
 */
import { existsSync, readFileSync } from "node:fs"
import { relative } from "node:path"

interface TestFile {
  readonly name: string
  readonly status: string
  readonly message?: string
  readonly assertionResults: ReadonlyArray<{
    readonly status: string
    readonly fullName: string
    readonly failureMessages?: ReadonlyArray<string>
  }>
}

interface Report {
  readonly success: boolean
  readonly testResults: ReadonlyArray<TestFile>
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
}

/** Vitest writes no report when it could not start. */
const none: Report = {
  success: false,
  testResults: [],
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0
}

const files = process.argv.length > 2 ? process.argv.slice(2) : ["build/tests.json", "build/trials.json"]
const reports = files.map((file): Report => existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : none)
const sum = (count: (report: Report) => number) => reports.reduce((all, report) => all + count(report), 0)
const skipped = sum((report) => report.numPendingTests + report.numTodoTests)

/** The beginning of a message: CI keeps the last lines only. */
const brief = (message: string | undefined) => (message ?? "").split("\n").slice(0, 6).join("\n    ")

for (const { assertionResults, message, name, status } of reports.flatMap((report) => report.testResults)) {
  const file = relative(process.cwd(), name)
  const failed = assertionResults.filter((test) => test.status === "failed")
  if (status === "failed" && failed.length === 0) console.log(`failed: ${file}\n    ${brief(message)}`)
  for (const test of failed) console.log(`failed: ${file}: ${test.fullName}\n    ${brief(test.failureMessages?.[0])}`)
}

console.log(
  `${sum((report) => report.numPassedTests)} passed, ${
    sum((report) => report.numFailedTests)
  } failed, ${skipped} skipped`
)
if (reports.some(({ numPassedTests, success }) => !success || numPassedTests === 0)) process.exitCode = 1
