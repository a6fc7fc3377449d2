// A budget under processes that are killed; the tests of each shared budget store call it.
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const worker = fileURLToPath(new URL("worker.ts", import.meta.url))

interface Node {
  readonly child: ChildProcess
  readonly said: () => string
}

const start = (args: ReadonlyArray<string>): Node => {
  const child = spawn(process.execPath, [worker, ...args], { stdio: ["ignore", "pipe", "pipe"] })
  let text = ""
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
  return { child, said: () => text }
}

const until = async (node: Node, word: string) => {
  while (!node.said().includes(`${word} `)) {
    if (node.child.exitCode !== null) throw new Error(`a node ended: ${node.said()}`)
    await setTimeout(10)
  }
}

const reported = (node: Node, word: string): ReadonlyArray<unknown> =>
  node.said().split("\n").flatMap((line) =>
    line.startsWith(`${word} `) ? [JSON.parse(line.slice(word.length + 1))] : []
  )

/**
 * Makes 1,000 concurrent calls against a dollar in so many processes, each of which is killed at a random moment and
 * started again.
 */
export const crashes = Effect.fnUntraced(function*(store: ReadonlyArray<string>, nodes: number, kills: number) {
  const all: Array<Node> = []
  const launch = (which: number) => {
    const node = start([...store, `${nodes}`, `${which}`])
    all.push(node)
    return node
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => all.forEach(({ child }) => child.kill("SIGKILL"))))
  yield* Effect.promise(async () => {
    const running = Array.from({ length: nodes }, (_, which) => launch(which))
    let killed = 0
    for (; killed < kills; killed++) {
      const which = killed % nodes
      const node = running[which] ?? launch(which)
      await until(node, "calling")
      await setTimeout(Math.random() * 400)
      if (node.child.exitCode !== null) break
      const gone = once(node.child, "exit")
      node.child.kill("SIGKILL")
      await gone
      running[which] = launch(which)
    }
    for (const node of running) await until(node, "settled")
    assert.isAbove(killed, 0)
    const ends = running.flatMap((node) => reported(node, "ended")).map((end) => decodeEnd(end))
    assert.includeMembers(["answered", "failed", "BudgetExceeded"], ends.map(([end]) => end))
    assert.strictEqual(ends.reduce((sum, [, count]) => sum + count, 0), 1_000)
    for (const node of all) assert.deepStrictEqual(reported(node, "over"), [], node.said())
  })
  const sums = all.flatMap((node) => reported(node, "settled"))
  for (const sum of sums) assert.strictEqual(decode(sum).used, decode(sum).settled)
  return decode(sums.at(-1)).settled
})

/** The outcomes of calls, and how many had each. */
const decodeEnd = Schema.decodeUnknownSync(Schema.Tuple([Schema.String, Schema.Int]))

/** The counter and the sum of all uses, as a node reads them once nothing is reserved. */
const decode = Schema.decodeUnknownSync(Schema.Struct({ settled: Schema.Int, used: Schema.Int }))
