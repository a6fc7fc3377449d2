/**
 * Follows the tutorial word for word, in an empty folder, with the packed packages: each file is saved as its page says,
 * each command is run, and what a page shows of an answer has to come. In an answer `…` stands for any text, and `<name>`
 * for a text that later commands of the page use by this name. Ports are replaced by free ones. The last lesson's PostgreSQL is that of
 * `DATABASE_URL`, or one from npm. Run `tsc -b` first.
 */
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startPostgres, stopAll } from "../examples/03-two-nodes/processes.ts"
import { Learner } from "./internal/learner.ts"
import { lessonOf } from "./internal/lesson.ts"
import { packed } from "./internal/packed.ts"
import { root } from "./internal/workspace.ts"

const pages = globSync("docs/tutorial/*.md", { cwd: root }).sort()

const folder = mkdtempSync(join(tmpdir(), "fastagentic-tutorial-"))
const database = process.env["DATABASE_URL"] ?? await startPostgres()
const learner = await Learner.make(folder, packed(folder), database)
try {
  for (const page of pages) {
    for (const part of lessonOf(readFileSync(join(root, page), "utf8"))) await learner.follow(part, page)
    console.log(`tutorial: ${page} holds`)
  }
} finally {
  await learner.stop()
  await stopAll()
  rmSync(folder, { recursive: true, force: true })
}
