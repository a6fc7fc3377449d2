import { assert, describe, it } from "@effect/vitest"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { FakeListChatModel } from "@langchain/core/utils/testing"
import { Annotation, interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph"
import { Cause, Effect } from "effect"
import { Event } from "fastagentic"
import { Play } from "../../src/internal/contract/play.ts"
import * as Stage from "../../src/internal/contract/stage.ts"

const State = Annotation.Root({
  question: Annotation<string>(),
  said: Annotation<Array<string>>({ reducer: (all, more) => [...all, ...more], default: () => [] })
})

type Node = (signal: AbortSignal | undefined) => unknown

/** Branches side by side, and what they say together. */
const branches = (nodes: Record<string, Node>) => {
  const graph = new StateGraph<typeof State.spec, typeof State.State, typeof State.Update, string>(State)
  for (const [name, run] of Object.entries(nodes)) {
    graph.addNode(name, async (_state, config) => ({ said: [String(await run(config.signal))] }))
    graph.addEdge(START, name)
  }
  return graph
}

type Compiled = ReturnType<ReturnType<typeof branches>["compile"]>

const serve = (graph: Compiled, folder?: string) =>
  Stage.serve({
    durable: true,
    play: new Play(),
    ...(folder === undefined ? {} : { folder }),
    perform: (agent) =>
      LangGraph.layer(agent, graph, { input: ({ question }) => ({ question }), output: ({ said }) => said.join(" ") })
  })

const never = (onHang: () => void) => (signal: AbortSignal | undefined) =>
  new Promise((_resolve, reject) => {
    onHang()
    signal?.addEventListener("abort", () => reject(signal.reason))
  })

describe("checkpoints of a graph in the run's store", () => {
  it.live("of branches side by side only the one that was cut off runs again", () =>
    Effect.gen(function*() {
      const world: Array<string> = []
      const work = (name: string) => () => {
        world.push(name)
        return name
      }
      let hang = () => {}
      const hangs = new Promise<void>((resolve) => {
        hang = resolve
      })
      const first = yield* serve(branches({ charge: work("charge"), ship: never(hang) }).compile())
      const runId = yield* first.start("plain")
      yield* Effect.promise(() => hangs)
      // The branch that is through is stored while the other one works.
      for (let tries = 0; tries < 200; tries++) {
        const events = yield* first.journal(runId)
        if (events.some(({ data, type }) => type === "node_exit" && "name" in data && data.name === "charge")) break
        yield* Effect.sleep("10 millis")
      }
      yield* Effect.sleep("100 millis")
      const second = yield* serve(
        branches({ charge: work("charge again"), ship: work("ship") }).compile(),
        Stage.copyOf(first.folder)
      )
      const { output, state } = yield* second.ended(runId)
      assert.deepStrictEqual({ state, output }, { state: "completed", output: "charge ship" })
      assert.deepStrictEqual(world, ["charge", "ship"])
    }).pipe(Effect.scoped))

  it.live("the words of a branch that was cut off beside a stored one stand once, as it said them last", () =>
    Effect.gen(function*() {
      for (const [first, last] of [["a b c d ", "a b c d "], ["a b c d ", "e f g h "]] as const) {
        let words: string = first
        let onSaid = () => {}
        const saidSome = new Promise<void>((resolve) => {
          onSaid = resolve
        })
        let hangs = true
        // A model that stops in the middle of its first answer.
        const talk = (signal: AbortSignal | undefined) => {
          const model = new FakeListChatModel({ responses: [hangs ? words.slice(0, 4) : words] })
          return model.invoke("talk").then(async ({ text }) => {
            if (!hangs) return text
            onSaid()
            return never(() => {})(signal)
          })
        }
        const charge = async () => {
          await saidSome
          return "charged"
        }
        const server = yield* serve(branches({ charge, talk }).compile())
        const runId = yield* server.start("plain")
        yield* Effect.promise(() => saidSome)
        for (let tries = 0; tries < 200; tries++) {
          const events = yield* server.journal(runId)
          if (events.some(({ data, type }) => type === "node_exit" && "name" in data && data.name === "charge")) break
          yield* Effect.sleep("10 millis")
        }
        yield* Effect.sleep("100 millis")
        const folder = Stage.copyOf(server.folder)
        hangs = false
        words = last
        const second = yield* serve(branches({ charge, talk }).compile(), folder)
        assert.deepInclude(yield* second.ended(runId), { state: "completed", output: `charged ${last}` })
        const events = Event.visible(yield* second.journal(runId))
        const text = events.flatMap((event) => event.type === "token" ? [event.data.delta] : []).join("")
        assert.strictEqual(text, last)
        const nodes = events.flatMap(({ data, type }) => type === "node_exit" && "name" in data ? [data.name] : [])
        assert.deepStrictEqual(nodes.toSorted(), ["charge", "talk"])
      }
    }).pipe(Effect.scoped))

  it.live("a node that asks twice, in a subgraph, gets each answer over restarts", () =>
    Effect.gen(function*() {
      const inner = () =>
        new StateGraph(State)
          .addNode("ask", () => {
            const name: unknown = interrupt("name?")
            const age: unknown = interrupt("age?")
            return { said: [`${String(name)} is ${String(age)}`] }
          })
          .addEdge(START, "ask")
          .compile()
      const graph = () => {
        const outer = new StateGraph<typeof State.spec, typeof State.State, typeof State.Update, string>(State)
        outer.addNode("inner", inner())
        outer.addEdge(START, "inner")
        return outer.compile()
      }
      let server = yield* serve(graph())
      const runId = yield* server.start("plain")
      for (const value of ["Ann", 7]) {
        assert.strictEqual((yield* server.until(runId, "suspended", "failed", "completed")).state, "suspended")
        const folder = Stage.copyOf(server.folder)
        yield* server.stop
        server = yield* serve(graph(), folder)
        const [one] = yield* server.open(runId)
        yield* server.request("POST", `/runs/${runId}/interrupts/${one?.id}`, { decision: "approve", value })
        yield* Effect.sleep("50 millis")
      }
      const { output, state } = yield* server.ended(runId)
      assert.deepStrictEqual({ state, output }, { state: "completed", output: "Ann is 7" })
    }).pipe(Effect.scoped))

  it.live("a fork after a checkpoint continues from there", () =>
    Effect.gen(function*() {
      const world: Array<string> = []
      const row = new StateGraph(State)
        .addNode("one", () => ({ said: [`one ${world.push("one")}`] }))
        .addNode("two", () => ({ said: [`two ${world.push("two")}`] }))
        .addEdge(START, "one")
        .addEdge("one", "two")
        .compile()
      const server = yield* Stage.serve({
        durable: true,
        play: new Play(),
        perform: (agent) =>
          LangGraph.layer(agent, row, { input: ({ question }) => ({ question }), output: ({ said }) => said.join(" ") })
      })
      const runId = yield* server.start("plain")
      assert.strictEqual((yield* server.ended(runId)).output, "one 1 two 2")
      const events = yield* server.journal(runId)
      const exit = events.findIndex(({ data, type }) => type === "node_exit" && "name" in data && data.name === "one")
      const checkpoint = events.slice(exit).filter(({ type }) => type === "checkpoint")[1]
      const { body } = yield* server.request("POST", `/runs/${runId}/fork`, { after: checkpoint?.seq })
      assert.strictEqual((yield* server.ended(String(Object(body).runId))).output, "one 1 two 3")
    }).pipe(Effect.scoped))

  it.live("a durable agent whose graph has a checkpointer of its own does not start", () =>
    Effect.gen(function*() {
      const graph = branches({ one: () => "one" }).compile({ checkpointer: new MemorySaver() })
      const exit = yield* Effect.exit(Effect.scoped(serve(graph)))
      assert.match(
        exit._tag === "Failure" ? Cause.pretty(exit.cause) : "",
        /agent "subject": it is durable.*compile the graph without a checkpointer, or declare it/u
      )
    }))
})
