import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { pathToFileURL } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { fastagentic, fixture, listening, type Running } from "../process.ts"
import { type ReplayServer, replayServer } from "./replayServer.ts"
import { closing, type Shape, shapes } from "./shapes.ts"

const Data = Schema.Record(Schema.String, Schema.Json)
const Frame = Schema.fromJsonString(Schema.Struct({ type: Schema.String, data: Data }))
const Sums = Schema.Struct({
  items: Schema.Array(Schema.Struct({ inputTokens: Schema.Int, outputTokens: Schema.Int, calls: Schema.Int }))
})
const Failed = Schema.Struct({
  error: Schema.Struct({ reason: Schema.String, words: Schema.String })
})

const key = "sk-served-secret-77"

let server: ReplayServer
let running: Running
let url = ""

beforeAll(async () => {
  server = await replayServer()
  const env = { OPENAI_BASE_URL: server.url, OPENAI_API_KEY: key, FASTAGENTIC_MODEL: "vendor/test-model" }
  running = fastagentic(["run", fixture("modelled.ts"), "--mode", "http", "--port", "0", "--store", "runs.db"], { env })
  url = await listening(running)
}, 60_000)

afterAll(async () => {
  running.child.kill("SIGKILL")
  await server.stop()
})

const post = (path: string) => fetch(url + path, { method: "POST", body: JSON.stringify({ question: "Hello" }) })

/** The events of a run, as its stream carries them. */
const ask = async () => {
  const response = await post("/agents/ask/stream")
  const text = await response.text()
  const frames = [...text.matchAll(/^data: ?(.*)$/gmu)].map(([, data]) => Schema.decodeUnknownSync(Frame)(data))
  const all = (type: string) => frames.filter((frame) => frame.type === type).map(({ data }) => data)
  return { text, all, join: (type: string) => all(type).map(({ delta }) => String(delta)).join("") }
}

const usage = async () => {
  const answer: unknown = await (await fetch(`${url}/usage`)).json()
  const { items } = Schema.decodeUnknownSync(Sums)(answer)
  return items.reduce((sum, item) => ({
    input: sum.input + item.inputTokens,
    output: sum.output + item.outputTokens
  }), { input: 0, output: 0 })
}

interface Message {
  readonly role: string
  readonly tool_call_id?: string
  readonly tool_calls?: ReadonlyArray<{ readonly id: string }>
}

/** The ids of calls and of results in the last request of a run. */
const idsSent = () => {
  // cast: the body is what our own process has sent.
  const messages = (server.received.at(-1)?.body["messages"] ?? []) as ReadonlyArray<Message>
  return {
    calls: messages.flatMap(({ tool_calls = [] }) => tool_calls.map(({ id }) => id)),
    results: messages.flatMap(({ role, tool_call_id }) => role === "tool" ? [tool_call_id] : [])
  }
}

/** An answer that ends a loop in another way than by an error of the provider. */
const endOf = ({ finish, text }: Shape["means"]) =>
  finish === "content-filter" ? "AnswerRefused" : text === undefined ? "AnswerEmpty" : undefined

describe("an answer of a chat completions server, through a served agent on SQLite", () => {
  for (const shape of shapes) {
    if (shape.whole === true) continue
    it(`${shape.name} arrives on the wire and in the usage`, async () => {
      const { calls, error, reasoning = "", text = "", usage: counted } = shape.means
      server.prepare([shape.answer], closing)
      const before = await usage()
      const run = await ask()
      assert.notInclude(run.text, key)
      const isDone = error === undefined && calls !== undefined
      assert.strictEqual(run.join("token"), text + (isDone ? "Done." : ""))
      assert.strictEqual(run.join("reasoning_delta"), reasoning)
      assert.deepStrictEqual(
        run.all("tool_call").map(({ arguments: params, name }) => [name, params]),
        (calls ?? []).map(([name, params]) => [name, params])
      )
      const after = await usage()
      const extra = isDone ? [1, 1] as const : [0, 0] as const
      if (counted !== undefined && counted !== "none") {
        assert.deepStrictEqual([after.input - before.input, after.output - before.output], [
          counted[0] + extra[0],
          counted[1] + extra[1]
        ])
      }
      if (calls !== undefined) {
        const { calls: ids, results } = idsSent()
        assert.strictEqual(new Set(ids).size, calls.length)
        assert.deepStrictEqual(results, ids)
      }
      const [failed] = run.all("error").concat(run.all("run_failed"))
      const end = error?.tag === "ContentPolicyError" ? "AnswerRefused" : error?.end ?? error?.tag ?? endOf(shape.means)
      if (end === undefined || isDone) return assert.isUndefined(failed, run.text)
      assert.include(JSON.stringify(failed), end)
      const hasWords = end !== "AnswerRefused" && error?.end === undefined
      assert.include(JSON.stringify(failed), hasWords ? error?.words ?? "" : "")
    })
  }

  it("a failure is the agent's own error on every way to ask, with the class and the provider's words", async () => {
    const limit = { status: 429, headers: { "retry-after": "7" }, body: `{"error":{"message":"slow down, ${key}"}}` }
    server.prepare([limit], limit)
    const response = await post("/agents/ask")
    assert.strictEqual(response.status, 502)
    const answer: unknown = await response.json()
    const { error } = Schema.decodeUnknownSync(Failed)(answer)
    assert.strictEqual(error.reason, "RateLimitError")
    assert.include(error.words, "slow down, <redacted>")
    assert.include(error.words, "7s")
    assert.notInclude(running.stdout() + running.stderr(), key)
  })

  it("a client that cancels its run cancels the request to the provider", async () => {
    server.prepare([{ ...closing, body: String(closing.body).split("\n\n")[0] ?? "", hangs: true }])
    const left = server.left()
    const started: unknown = await (await post("/agents/ask/runs")).json()
    const { runId } = Schema.decodeUnknownSync(Schema.Struct({ runId: Schema.String }))(started)
    while (server.received.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    await fetch(`${url}/runs/${runId}/cancel`, { method: "POST" })
    for (let i = 0; i < 200 && server.left() === left; i++) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.strictEqual(server.left(), left + 1)
  })
})

describe("a model that cannot be made", () => {
  for (
    const [name, env, line] of [
      [
        "a package that is not installed",
        { GROQ_API_KEY: "k", NODE_OPTIONS: `--import=${pathToFileURL(fixture("withoutGroq.ts")).href}` },
        "npm install @ai-sdk/groq"
      ],
      ["a key that is missing", { GROQ_API_KEY: "" }, "GROQ_API_KEY is not set"]
    ] as const
  ) {
    it(`stops the start with one line: ${name}`, async () => {
      const { exited, stderr, stdout } = fastagentic(["run", fixture("modelled.ts"), "--mode", "http", "--port", "0"], {
        env: { FASTAGENTIC_MODEL: "groq:llama", ...env }
      })
      assert.notStrictEqual(await exited, 0)
      const lines = (stdout() + stderr()).trim().split("\n")
      assert.lengthOf(lines, 1, stdout() + stderr())
      assert.include(lines[0], line)
    }, 30_000)
  }
})
