import { assert, describe, it } from "@effect/vitest"
import { join } from "node:path"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

/** An answer that succeeds, with the headers that every answer has. */
const checked = (answer: Response, label: string) => {
  assert.isBelow(answer.status, 300, label)
  const policy = answer.headers.get("content-security-policy") ?? ""
  assert.strictEqual(answer.headers.get("x-content-type-options"), "nosniff", label)
  assert.strictEqual(answer.headers.get("cross-origin-resource-policy"), "same-origin", label)
  assert.include(policy, "frame-ancestors 'none'", label)
  assert.isTrue(policy.endsWith("sandbox"), label)
  assert.match(answer.headers.get("cache-control") ?? "", /^no-store/u, label)
  assert.isNull(answer.headers.get("access-control-allow-origin"), label)
  return answer
}

describe("Answers about things that exist, over REST on SQLite", () => {
  it("have the security headers: runs, threads, files, forms and schedules", async () => {
    const running = fastagentic([
      "run",
      fixture("chat.ts"),
      "--mode",
      "http",
      "--port",
      "0",
      "--store",
      join(temporaryFolder(), "runs.db")
    ])
    try {
      const url = await listening(running)
      const ask = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
        const type = body instanceof FormData ? {} : { "content-type": "application/json" }
        const answer = await fetch(url + path, {
          method,
          headers: { ...headers, ...(body === undefined ? {} : type) },
          ...(body === undefined ? {} : { body: body instanceof FormData ? body : JSON.stringify(body) })
        })
        return checked(answer, `${method} ${path} ${answer.status}`)
      }
      const thread = { "x-thread-id": "t" }
      const { runId } = Object(await (await ask("POST", "/agents/chat/runs", { text: "a" }, thread)).json())
      await ask("POST", "/agents/chat", { text: "b" }, thread)
      await (await ask("POST", "/agents/chat/stream", { text: "c" }, thread)).text()
      const form = new FormData()
      form.set("text", "d")
      await ask("POST", "/agents/chat", form, thread)

      const upload = new FormData()
      upload.set("file", new Blob(["<script>1</script>"], { type: "text/html" }), "a.html")
      const { fileId } = Object(await (await ask("POST", "/files", upload)).json())
      const file = await ask("GET", `/files/${fileId}`)
      assert.include(file.headers.get("content-disposition") ?? "", "attachment")

      const schedule = { agent: "chat", payload: { text: "e" }, cron: "0 0 1 1 *" }
      await ask("PUT", "/schedules/yearly", schedule)
      for (const path of ["pause", "resume", "run"]) await ask("POST", `/schedules/yearly/${path}`)
      await ask("POST", `/runs/${runId}/fork`)
      const reads = [
        "/agents",
        "/tools",
        "/runs",
        `/runs/${runId}`,
        `/runs/${runId}/events`,
        `/runs/${runId}/checkpoints`,
        `/runs/${runId}/interrupts`,
        "/interrupts",
        "/threads",
        "/threads/t",
        "/threads/t/messages",
        "/schedules",
        "/schedules/yearly",
        "/usage",
        "/audit",
        "/health",
        "/ready",
        "/metrics",
        "/openapi.json",
        "/mcp/schema"
      ]
      for (const path of reads) await (await ask("GET", path)).text()
      const { threadId } = Object(await (await ask("POST", "/threads/t/fork")).json())
      await ask("DELETE", `/threads/${threadId}`)
      await ask("DELETE", "/schedules/yearly")
    } finally {
      running.child.kill("SIGKILL")
    }
  }, 60_000)
})
