import { assert, describe, it } from "@effect/vitest"
import { golden, printed, sharedApp, withApp } from "./golden.ts"
import { fastagentic } from "./process.ts"

/** A command whose stdin is a pipe with these lines. */
const piped = async (args: ReadonlyArray<string>, ...lines: ReadonlyArray<string>) => {
  const running = fastagentic(args, { stdin: "pipe" })
  running.child.stdin?.end(lines.map((line) => `${line}\n`).join(""))
  return { code: await running.exited, stdout: running.stdout(), stderr: golden(running.stderr()) }
}

const withSpeaking = sharedApp("speaking.ts")

describe("fastagentic call", { timeout: 60_000 }, () => {
  it("an answer is printed, as text, as a run or as events", () =>
    withSpeaking(async ({ ask }) => {
      const plain = await ask("call", "tell", `{"text":"well met"}`)
      assert.deepStrictEqual(plain, { code: 0, stdout: "well met\n", stderr: "" })
      const run = await ask("call", "pay", `{"amount":3}`, "--json", "--thread", "t1")
      assert.deepInclude(JSON.parse(run.stdout), { agent: "pay", state: "completed", output: "paid 3", threadId: "t1" })
      const words = await ask("call", "tell", `{"text":"well met"}`, "--stream")
      assert.deepStrictEqual(words, { code: 0, stdout: "well met \n", stderr: "" })
      const events = await ask("call", "tell", `{"text":"hm"}`, "--stream", "--json")
      assert.deepStrictEqual(events.stdout.trimEnd().split("\n").map((line) => JSON.parse(line).type), [
        "run_started",
        "token",
        "done"
      ])
    }))

  it("a repeated key is the same run", () =>
    withSpeaking(async ({ ask }) => {
      const call = () => ask("call", "pay", `{"amount":3}`, "--json", "--idempotency-key", "k")
      assert.strictEqual(JSON.parse((await call()).stdout).runId, JSON.parse((await call()).stdout).runId)
    }))

  it("a failure is exit code 1, a refusal 2, a question without an answer 3", () =>
    withSpeaking(async ({ ask, url }) => {
      const failed = await ask("call", "tell", `{"text":"declined"}`)
      assert.deepStrictEqual([failed.code, failed.stdout], [1, ""])
      assert.match(golden(failed.stderr), /^fastagentic: Declined[^\n]*; see `fastagentic runs events <run 1>`\n$/u)
      for (
        const [says, ...args] of [
          [/the payload is a JSON object/u, "call", "tell", "{"],
          [/the payload is a JSON object/u, "call", "tell", "3"],
          [/nobody/u, "call", "nobody"],
          [/text/u, "call", "tell", `{"other":1}`]
        ] as const
      ) {
        const refused = await ask(...args)
        assert.deepStrictEqual([refused.code, refused.stdout], [2, ""], args.join(" "))
        assert.match(refused.stderr, says)
        assert.lengthOf(refused.stderr.trimEnd().split("\n"), 1)
      }
      const asked = ["call", "tell", `{"text":"oh","ask":true}`, "--url", url]
      const unasked = await ask(...asked, "--no-ask")
      assert.strictEqual(unasked.code, 3)
      assert.match(
        golden(unasked.stderr),
        /^Say it again\? \(y or n\)\nfastagentic: <run 1> waits for a decision: [^\n]*\n$/u
      )
      assert.strictEqual((await piped(asked)).code, 3)
    }))

  it("a question is answered from a pipe, and a wrong answer is asked again", () =>
    withSpeaking(async ({ url }) => {
      const asked = ["call", "tell", `{"text":"oh","ask":true}`, "--stream", "--url", url]
      const answered = await piped(asked, "perhaps", "y")
      assert.deepStrictEqual(answered, {
        code: 0,
        stdout: "oh oh\n",
        stderr: "Say it again? (y or n)\nThat is no answer to this question\nSay it again? (y or n)\n"
      })
    }))

  it("a payload comes from stdin", () =>
    withSpeaking(async ({ url }) => {
      const answered = await piped(["call", "tell", "-", "--url", url], `{"text":"from afar"}`)
      assert.deepStrictEqual(answered, { code: 0, stdout: "from afar\n", stderr: "" })
    }))

  it("a call that is stopped says that its run continues", () =>
    withSpeaking(async ({ ask, url }) => {
      const running = fastagentic(["call", "tell", `{"text":"slow"}`, "--stream", "--url", url])
      await printed(running, "slow")
      running.child.kill("SIGINT")
      assert.strictEqual(await running.exited, 0)
      assert.match(golden(running.stderr()), /^The run continues: fastagentic runs events <run 1> --follow\n$/u)
      assert.match((await ask("runs", "list", "--state", "running")).stdout, / running tell /u)
    }))
})

describe("fastagentic chat", { timeout: 60_000 }, () => {
  it("lines of a pipe are messages of one thread", () =>
    withApp("chat.ts", async ({ url }) => {
      const first = await piped(["chat", "chat", "--thread", "t", "--url", url], "one", "", "two")
      assert.deepStrictEqual(first, { code: 0, stdout: "one\none|two\n", stderr: "thread t\n" })
      const second = await piped(["chat", "chat", "--thread", "t", "--url", url], "three")
      assert.strictEqual(second.stdout, "one|two|three\n")
      const other = await piped(["chat", "chat", "--url", url], "three")
      assert.deepStrictEqual(other, { code: 0, stdout: "three\n", stderr: "thread <run 1>\n" })
    }))

  it("questions are asked between the messages, and a failure is in the exit code", () =>
    withSpeaking(async ({ url }) => {
      const chat = ["chat", "tell", "--thread", "t", "--url", url]
      const asked = await piped([...chat, "--payload", `{"ask":true}`], "ah", "n", "oh", "y")
      assert.deepStrictEqual(asked, {
        code: 0,
        stdout: "ah \nno\noh \noh\n",
        stderr: "thread t\nSay it again? (y or n)\nSay it again? (y or n)\n"
      })
      const failed = await piped(chat, "declined", "fine")
      assert.deepStrictEqual([failed.code, failed.stdout], [1, "fine \n"])
      assert.match(failed.stderr, /Declined/u)
      const open = await piped([...chat, "--payload", `{"ask":true}`], "ah")
      assert.strictEqual(open.code, 3)
    }))

  it("an agent that is not there or takes no messages is refused in one line", () =>
    withSpeaking(async ({ ask }) => {
      const none = await ask("chat", "nobody")
      assert.deepStrictEqual([none.code, none.stderr], [
        2,
        `fastagentic: there is no agent "nobody"; there is pay, tell, other\n`
      ])
      const pay = await ask("chat", "pay")
      assert.strictEqual(pay.code, 2)
      assert.match(pay.stderr, /^fastagentic: "pay" takes no chat messages[^\n]*\n$/u)
    }))
})
