import { assert, describe, it } from "@effect/vitest"
import { MastraWorkflows } from "@fastagentic/adapters/mastra"
import { createStep, createWorkflow } from "@mastra/core/workflows"
import { Effect } from "effect"
import { z } from "zod"
import { type Play, suite, type ToolName } from "../../src/adapter-contract.ts"
import { Play as Plays } from "../../src/internal/contract/play.ts"
import * as Stage from "../../src/internal/contract/stage.ts"

const Call = z.object({
  id: z.string(),
  name: z.enum(["look", "refund", "pay"]),
  args: z.object({ order: z.number() })
})
const Turn = z.object({ question: z.string(), answers: z.number(), calls: z.array(Call), text: z.string() })

/** A loop of turns; a turn is a workflow that answers and makes its calls. */
const workflowOf = (play: Play) => {
  const answer = createStep({
    id: "answer",
    inputSchema: Turn,
    outputSchema: Turn,
    execute: async ({ abortSignal, inputData: { answers, question }, writer }) => {
      const { calls, texts } = await play.answer(answers, JSON.stringify(question), abortSignal)
      for (const text of texts) await writer.write(text)
      return { question, answers: answers + 1, calls: [...calls], text: texts.join("") }
    }
  })
  const call = createStep({
    id: "call",
    inputSchema: Call,
    outputSchema: z.string(),
    resumeSchema: z.unknown(),
    suspendSchema: z.object({ pay: z.number() }),
    execute: async ({ abortSignal, inputData: { args, name }, resumeData, suspend }) => {
      if (name === "pay" && resumeData === undefined) {
        await suspend({ pay: args.order })
        return ""
      }
      return play.work(name satisfies ToolName, args, abortSignal)
    }
  })
  const turn = createWorkflow({ id: "turn", inputSchema: Turn, outputSchema: Turn })
    .then(answer)
    .map(async ({ inputData }) => inputData.calls)
    .foreach(call)
    .map(async ({ getStepResult }) => getStepResult(answer))
    .commit()
  return createWorkflow({ id: "play", inputSchema: z.object({ question: z.string() }), outputSchema: Turn })
    .map(async ({ inputData: { question } }) => ({ question, answers: 0, calls: [], text: "" }))
    // cast: its own types do not compile with `exactOptionalPropertyTypes`.
    .dountil(turn as unknown as typeof answer, async ({ inputData }) => inputData.calls.length === 0)
    .commit()
}

suite("A workflow of Mastra", {
  capabilities: MastraWorkflows.capabilities,
  denial: "run",
  sees: { models: false, tools: false },
  perform: (agent, play) =>
    MastraWorkflows.layer(agent, workflowOf(play), {
      input: ({ question }) => ({ question }),
      output: (result) => String(Object(result).text)
    })
})

describe("a workflow of Mastra", () => {
  const State = z.object({ question: z.string(), said: z.array(z.string()) })
  const step = (id: string, world: Array<string>, wait: (signal: AbortSignal) => Promise<void> = async () => {}) =>
    createStep({
      id,
      inputSchema: State,
      outputSchema: State,
      execute: async ({ abortSignal, inputData: { question, said } }) => {
        world.push(id)
        await wait(abortSignal)
        return { question, said: [...said, id] }
      }
    })

  it.live("branches side by side, a choice and a sleep: only what was cut off is done again", () =>
    Effect.gen(function*() {
      const world: Array<string> = []
      const make = (wait: (signal: AbortSignal) => Promise<void>) =>
        createWorkflow({ id: "row", inputSchema: State, outputSchema: State })
          .then(step("one", world))
          .parallel([step("left", world), step("right", world)])
          .map(async ({ inputData: { left, right } }) => ({
            question: "",
            said: [...left?.said ?? [], ...right?.said ?? []]
          }))
          .branch([
            [async ({ inputData }) => inputData.said.length > 10, step("long", world)],
            [async ({ inputData }) => inputData.said.length < 10, step("short", world)]
          ])
          .map(async ({ inputData }) => inputData.short ?? inputData.long ?? { question: "", said: [] })
          .sleep(50)
          .then(step("held", world, wait))
          .commit()
      const serve = (wait: (signal: AbortSignal) => Promise<void>, folder?: string) =>
        Stage.serve({
          durable: true,
          play: new Plays(),
          ...(folder === undefined ? {} : { folder }),
          perform: (agent) =>
            MastraWorkflows.layer(agent, make(wait), {
              input: ({ question }) => ({ question, said: [] }),
              output: (result) => Object(result).said.join(" ")
            })
        })
      let hang = () => {}
      const hangs = new Promise<void>((resolve) => {
        hang = resolve
      })
      const first = yield* serve((signal) => {
        hang()
        return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
      })
      const runId = yield* first.start("plain")
      yield* Effect.promise(() => hangs)
      const second = yield* serve(async () => {}, Stage.copyOf(first.folder))
      const { output, state } = yield* second.ended(runId)
      assert.deepStrictEqual({ state, output }, { state: "completed", output: "one left one right short held" })
      assert.deepStrictEqual(world.toSorted(), ["held", "held", "left", "one", "right", "short"])
    }).pipe(Effect.scoped))

  it.live("steps that suspend side by side ask at the same time, and get their answers over restarts", () =>
    Effect.gen(function*() {
      const world: Array<string> = []
      const make = () => {
        const ask = createStep({
          id: "ask",
          inputSchema: z.string(),
          outputSchema: z.string(),
          resumeSchema: z.object({ grade: z.number() }),
          suspendSchema: z.object({ about: z.string() }),
          execute: async ({ inputData, resumeData, suspend }) => {
            world.push(`${inputData} ${resumeData === undefined ? "asks" : "has"}`)
            if (resumeData === undefined) {
              await suspend({ about: inputData })
              return ""
            }
            return `${inputData} ${resumeData.grade}`
          }
        })
        return createWorkflow({ id: "grades", inputSchema: z.array(z.string()), outputSchema: z.array(z.string()) })
          .foreach(ask, { concurrency: 3 })
          .commit()
      }
      const serve = (folder?: string) =>
        Stage.serve({
          durable: true,
          play: new Plays(),
          ...(folder === undefined ? {} : { folder }),
          perform: (agent) =>
            MastraWorkflows.layer(agent, make(), { input: () => ["a", "b", "c"], output: (all) => String(all) })
        })
      let server = yield* serve()
      const runId = yield* server.start("plain")
      assert.strictEqual((yield* server.until(runId, "suspended", "failed")).state, "suspended")
      const open = yield* server.open(runId)
      assert.strictEqual(open.length, 3)
      for (const [grade, { id }] of open.toReversed().entries()) {
        const folder = Stage.copyOf(server.folder)
        yield* server.stop
        server = yield* serve(folder)
        const path = `/runs/${runId}/interrupts/${id}`
        const wrong = yield* server.request("POST", path, { decision: "approve", value: { grade: "best" } })
        assert.strictEqual(wrong.status, 400)
        yield* server.request("POST", path, { decision: "approve", value: { grade } })
        yield* Effect.sleep("50 millis")
      }
      const { output, state } = yield* server.ended(runId)
      assert.strictEqual(state, "completed")
      assert.deepStrictEqual(String(output).match(/[abc] \d/gu)?.length, 3)
      assert.deepStrictEqual(world.toSorted(), ["a asks", "a has", "b asks", "b has", "c asks", "c has"])
    }).pipe(Effect.scoped))
})
