import { assert, describe, it } from "@effect/vitest"
import { existsSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { fastagentic, listening, type Running, temporaryFolder } from "./process.ts"

const workspace = fileURLToPath(new URL("../../../node_modules", import.meta.url))

const app = (word: string, more = "") => `
import { Effect, Layer, Schema } from "effect"
import { Agent, App, Run } from "fastagentic"
import { word } from "./word.ts"
const Say = Agent.make("say", { description: "Says a word", payload: {}, success: Schema.String })
const Ask = Agent.make("ask", { description: "Asks", payload: {}, success: Schema.String })
export default App.make("words", { version: "1", agents: [Say, Ask] }).provide(Layer.mergeAll(
  Say.toLayer(() => Effect.succeed("${word} " + word)),
  Ask.toLayer(() => Effect.map(Effect.orDie(Run.interrupt("colour", { schema: Schema.String })), (said) => said + " " + word))
))
${more}`

const project = async () => {
  const folder = temporaryFolder()
  symlinkSync(workspace, join(folder, "node_modules"))
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  write("package.json", JSON.stringify({ type: "module" }))
  write("app.ts", app("the"))
  write("word.ts", "export const word = 'first'\n")
  return { folder, write }
}

const post = (url: string, path: string, body: unknown = {}) =>
  fetch(url + path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })

/** Asks until the answer is the one that is waited for: the server is away while it starts again. */
const until = async (what: string, look: () => Promise<boolean>, running: Running) => {
  for (let i = 0; i < 400; i++) {
    if (await look().catch(() => false)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail(`${what} did not happen: ${running.stdout()} ${running.stderr()}`)
}

const says = (url: string, text: string) => async () => {
  const response = await post(url, "/agents/say")
  return JSON.stringify(await response.json()).includes(text)
}

const stopped = async (running: Running) => {
  running.child.kill("SIGTERM")
  return running.exited
}

describe("a watched app", () => {
  it("starts again with each change of its files, and a run that waits continues", async () => {
    const { folder, write } = await project()
    const running = fastagentic(["run", "app.ts", "--watch", "--port", "0"], { cwd: folder })
    const url = await listening(running)
    await until("the first answer", says(url, "the first"), running)
    const started = await post(url, "/agents/ask/runs", {})
    const { runId } = await started.json()
    write("word.ts", "export const word = 'second'\n")
    await until("the second answer", says(url, "the second"), running)
    const open = await (await fetch(`${url}/runs/${runId}/interrupts`)).json()
    const [question] = open.items ?? open
    const answered = await post(url, `/runs/${runId}/interrupts/${question.id}`, { decision: "approve", value: "red" })
    assert.strictEqual(answered.status, 202)
    await until("the answer of the run", async () => {
      const { output } = await (await fetch(`${url}/runs/${runId}`)).json()
      return output === "red second"
    }, running)
    assert.strictEqual(await stopped(running), 0)
    assert.match(running.stderr(), /word\.ts has changed/u)
  }, 60_000)

  it("waits for a change when a file is broken, and says where", async () => {
    const { folder, write } = await project()
    const running = fastagentic(["run", "app.ts", "--watch", "--port", "0"], { cwd: folder })
    const url = await listening(running)
    await until("the first answer", says(url, "the first"), running)
    write("word.ts", "export const = 'broken'\n")
    await until("the refusal", async () => /exit code 2/u.test(running.stderr()), running)
    assert.match(running.stderr(), /fastagentic: app\.ts: cannot be loaded, word\.ts:1: /u)
    write("word.ts", "export const word = 'mended'\n")
    await until("the mended answer", says(url, "the mended"), running)
    assert.strictEqual(await stopped(running), 0)
  }, 60_000)

  it("ends with the process that watches it, also when that is killed", async () => {
    const { folder } = await project()
    const running = fastagentic(["run", "app.ts", "--watch", "--port", "0"], { cwd: folder })
    const url = await listening(running)
    await until("the first answer", says(url, "the first"), running)
    running.child.kill("SIGKILL")
    await running.exited
    await until("the end of the server", () => fetch(`${url}/health`).then(() => false, () => true), running)
  }, 60_000)

  it("stops without a word more when the command ends while the app is loading", async () => {
    const { folder, write } = await project()
    const running = fastagentic(["run", "app.ts", "--watch", "--port", "0"], { cwd: folder })
    const url = await listening(running)
    await until("the first answer", says(url, "the first"), running)
    // The module keeps the event loop busy, so that its import is named before the end of the channel is seen.
    write("late.ts", "export const late = 1\n")
    write(
      "word.ts",
      `export const word = "busy"
process.stderr.write("loading\\n")
for (const end = Date.now() + 1500; Date.now() < end;);
await import("./late.ts")
`
    )
    await until("the second start", async () => running.stderr().includes("loading"), running)
    assert.strictEqual(await stopped(running), 0)
    assert.strictEqual(running.stderr(), "fastagentic: word.ts has changed\nloading\n")
  }, 60_000)

  it("is not served on stdin", async () => {
    const { folder } = await project()
    const running = fastagentic(["run", "app.ts", "--watch", "--mode", "stdio"], { cwd: folder })
    assert.strictEqual(await running.exited, 2)
    assert.match(running.stderr(), /--watch serves HTTP/u)
  })
})

describe("dev", () => {
  it("asks for the decisions of all runs in the terminal, one after the other, and reloads", async () => {
    const { folder, write } = await project()
    const args = ["dev", "app.ts", "--port=0", "--no-open", "--store", "dev"]
    const running = fastagentic(args, { cwd: folder, stdin: "pipe" })
    const url = await listening(running)
    await until("the first answer", says(url, "the first"), running)
    running.child.stdin?.write("a line before any question\n")
    const [one, other] = [post(url, "/agents/ask"), post(url, "/agents/ask")]
    await until("the first question", async () => /asks: colour \(text\)/u.test(running.stderr()), running)
    running.child.stdin?.write("blue\n")
    await until("the second question", async () => running.stderr().split("asks: colour").length === 3, running)
    const { items } = await (await fetch(`${url}/interrupts`)).json()
    assert.strictEqual(items.length, 1)
    await post(url, `/runs/${items[0].runId}/interrupts/${items[0].id}`, { decision: "approve", value: "green" })
    await until("the word about it", async () => running.stderr().includes("(answered elsewhere)"), running)
    const outputs = [one, other].map(async (answer) => {
      const { runId } = await (await answer).json()
      return (await (await fetch(`${url}/runs/${runId}`)).json()).output
    })
    assert.deepStrictEqual((await Promise.all(outputs)).toSorted(), ["blue first", "green first"])
    write("app.ts", app("a"))
    await until("the answer of the change", says(url, "a first"), running)
    assert.isTrue(existsSync(join(folder, "dev")))
    assert.strictEqual(await stopped(running), 0)
  }, 60_000)
})
