import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Case, cases } from "./matrix/cases.ts"
import { ableToAsk, openInterrupt, roundOf, stateOf } from "./matrix/rounds.ts"
import { startStdio } from "./matrix/stdio.ts"
import * as Transports from "./matrix/transports.ts"
import { fastagentic, fixture } from "./process.ts"

let marks = 0

const newTrace = () => globalThis.crypto.randomUUID().replaceAll("-", "")

/** The cases that apply to a process on standard input, which has one caller. */
const speakers = ["ann", "desk", "spent", "boss"] as const
const onStdio = "MCP on stdio"

describe("one door on standard input", () => {
  it.live("the matrix of policies has the same decision on stdio", () =>
    Effect.gen(function*() {
      const differences: Array<string> = []
      const same = (cell: string, seen: unknown, wanted: unknown) => {
        if (JSON.stringify(seen) !== JSON.stringify(wanted)) {
          differences.push(`${cell}: ${JSON.stringify(seen)}, not ${JSON.stringify(wanted)}`)
        }
      }
      const call = (mark: string, { agent, payload = (mark) => ({ mark }) }: Pick<Case, "agent" | "payload">) => {
        const traceId = newTrace()
        const _meta = { "fastagentic/idempotencyKey": `key-${mark}`, traceparent: `00-${traceId}-b7ad6b7169203331-01` }
        return { traceId, params: { name: agent, arguments: payload(mark), _meta } }
      }
      for (const who of speakers) {
        const { ask, isDone, url } = yield* startStdio(`key-of-${who}`)
        const auditOf = async (traceId: string) => {
          const { body } = await Transports.request(`${url}/audit?limit=200`, {
            headers: { "x-api-key": "key-of-lead" }
          })
          const entries: ReadonlyArray<Record<string, string>> = body.items
          return entries.filter((entry) => entry["traceId"] === traceId).map(({ decision, rule }) =>
            [decision, rule].join(" ").trim()
          )
        }
        yield* Effect.promise(async () => {
          if (who === "spent") {
            for (const agent of ["few", "daily"]) await ask("tools/call", call(`mark-${++marks}`, { agent }).params)
          }
          for (const one of cases) {
            if (one.by !== who) continue
            const [mark, cell] = [`mark-${++marks}`, `${one.name} / ${onStdio}`]
            const { params, traceId } = call(mark, one)
            const { rule, tag } = Transports.mcpOutcome(await ask("tools/call", params))
            same(cell, tag, one.tag)
            same(`${cell} / rule`, rule, one.rule)
            same(`${cell} / work done`, isDone(mark), one.tag === "completed")
            if (one.audit === undefined) continue
            const said = await auditOf(traceId)
            if (!said.includes(one.audit.join(" "))) same(`${cell} / audit`, said, one.audit)
          }
          if (who === "ann") {
            const mark = `mark-${++marks}`
            const { params } = call(mark, { agent: "plain" })
            const [first, second] = [await ask("tools/call", params), await ask("tools/call", params)].map((answer) =>
              Transports.mcpOutcome(answer)
            )
            same(`a key again / ${onStdio}`, [first?.tag, second?.runId], ["completed", first?.runId])
            const other = { ...params, arguments: { mark: `${mark}-other` } }
            const conflict = Transports.mcpOutcome(await ask("tools/call", other))
            same(`another payload / ${onStdio}`, conflict.tag, "IdempotencyConflict")

            const asking = { mark: `mark-${++marks}`, pause: true }
            const asked = await ask("tools/call", { name: "plain", arguments: asking, _meta: ableToAsk })
            const { inputRequests = {}, requestState = "" } = asked.result
            same(`a question / ${onStdio}`, [asked.result.resultType, isDone(asking.mark)], ["input_required", false])
            const [id = ""] = Object.keys(inputRequests)
            const round = roundOf("plain", asking, requestState, id, { value: true })
            same(`its answer / ${onStdio}`, Transports.mcpOutcome(await ask("tools/call", round)).tag, "completed")
            same(`what was asked about / ${onStdio}`, isDone(asking.mark), true)
          }
          if (who === "boss") {
            const mark = `mark-${++marks}`
            const waits = await ask("tools/call", { name: "pays", arguments: { mark }, _meta: ableToAsk })
            const { runId = "", tag } = Transports.mcpOutcome(waits)
            same(`only callers who may decide are asked / ${onStdio}`, tag, "suspended")
            const id = await openInterrupt({ url }, runId, "boss")
            const round = roundOf("pays", { mark }, stateOf(runId, { mark }), id, { decision: "approve" })
            const { rule, tag: own } = Transports.mcpOutcome(await ask("tools/call", round))
            same(`who has asked approves / ${onStdio}`, [own, rule], ["Forbidden", "not the requester"])
            same(`what was not approved / ${onStdio}`, isDone(mark), false)
          }
        })
      }
      assert.deepStrictEqual(differences, [])
    }).pipe(Effect.scoped), 180_000)

  it.live("a process with an invalid token serves nothing", () =>
    Effect.promise(async () => {
      for (const token of [{}, { FASTAGENTIC_TOKEN: "wrong" }]) {
        const args = ["run", fixture("lab.ts"), "--mode", "stdio", "--store", "memory"]
        const running = fastagentic(args, { stdin: "pipe", env: token })
        running.child.stdin?.write(`${JSON.stringify(Transports.mcpMessage(1, "tools/list", {}))}\n`)
        assert.strictEqual(await running.exited, 2)
        assert.strictEqual(running.stdout(), "")
        assert.match(running.stderr(), /^fastagentic: Authentication failed: .+\n$/u)
      }
    }), 60_000)
})
