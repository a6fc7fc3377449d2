import { assert, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { fastagentic, fixture, listening, temporaryFolder } from "../process.ts"
import { pythonWith } from "./environments.ts"
import { describeWith } from "./interpreters.ts"

describeWith("the official A2A client of Python", pythonWith("a2a"), (interpreter) => {
  it("sends, streams, reads, lists, joins and cancels tasks over each binding", async () => {
    const port = String(20_000 + process.pid % 20_000)
    const store = join(temporaryFolder(), "a2a.db")
    const flags = ["--mode", "http", "--port", port, "--grpc-port", port, "--store", store]
    const running = fastagentic(["run", fixture("trials.ts"), ...flags])
    try {
      await listening(running)
      for (const binding of ["JSONRPC", "HTTP+JSON", "GRPC"]) {
        const printed = execFileSync(interpreter, [fixture("a2a_client.py"), `http://127.0.0.1:${port}`, binding], {
          encoding: "utf8",
          timeout: 60_000
        })
        const { streamed, ...rest } = JSON.parse(printed)
        assert.deepInclude(streamed, { text: "1 2 3 " }, binding)
        assert.strictEqual(streamed.states.at(-1), "TASK_STATE_COMPLETED")
        assert.deepStrictEqual(rest, {
          state: "TASK_STATE_COMPLETED",
          history: ["3"],
          listed: [streamed.id],
          first: true,
          cancelled: "TASK_STATE_CANCELED",
          last: ["TASK_STATE_CANCELED"],
          refusals: ["TaskNotFoundError", "TaskNotCancelableError"]
        }, binding)
      }
    } finally {
      running.child.kill("SIGKILL")
      await running.exited
    }
  }, 120_000)
})
