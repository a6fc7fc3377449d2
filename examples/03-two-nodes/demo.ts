/** Two nodes on one PostgreSQL, and a reader that does not notice the kill of one of them. */
import { Effect, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Client, type Event } from "fastagentic"
import { Books } from "./app.ts"
import { makeBalancer, serve } from "./balancer.ts"
import { startNode, startPostgres, stopAll } from "./processes.ts"

const chapters = 8
const killAfter = 3

const say = (text: string) => Effect.sync(() => console.log(text))

/** One received event: its number, its attempt, and its text. */
const line = (event: Event.RunEvent) => {
  const detail = event.type === "token" ? event.data.delta : event.type === "done" ? String(event.data.output) : ""
  return `  ${String(event.seq).padStart(3)}  attempt ${event.attempt}  ${event.type.padEnd(12)} ${detail}`
}

/** The reason why the stream was not whole, if it was not. */
const flaws = (events: ReadonlyArray<Event.RunEvent>): ReadonlyArray<string> => {
  const streamed = events.flatMap((event) =>
    event.type === "token" ? [/^chapter \d+/u.exec(event.data.delta)?.[0]] : []
  )
  const steps = events.flatMap((event) => event.type === "checkpoint" ? [event.data.checkpointId] : [])
  const expected = Array.from({ length: chapters }, (_, index) => `chapter ${index + 1}`)
  const last = events.at(-1)
  const writers = last?.type === "done" ? String(last.data.output).split(",") : []
  return [
    ...(events.every(({ seq }, index) => seq === index + 1) ? [] : ["an event is missing or came twice"]),
    ...(streamed.join() === expected.join() ? [] : [`these chapters were streamed: ${streamed.join()}`]),
    ...(steps.join() === expected.join() ? [] : [`these steps were committed: ${steps.join()}`]),
    ...(last?.type === "done" ? [] : ["the run did not complete"]),
    ...(writers.length === chapters && new Set(writers).size === 2 ? [] : ["it was not written by two processes"])
  ]
}

const demo = Effect.gen(function*() {
  const given = process.env["DATABASE_URL"]
  const store = given ?? (yield* Effect.promise(startPostgres))
  yield* say(`PostgreSQL   ${given === undefined ? "from npm, in a folder of its own" : "the one of DATABASE_URL"}`)
  const nodes = yield* Effect.promise(() => Promise.all([startNode(store), startNode(store)]))
  for (const [index, { child, url }] of nodes.entries()) {
    yield* say(`node ${"AB"[index]}       ${url}  pid ${child.pid}`)
  }
  const balancer = makeBalancer(nodes.map(({ url }) => url))
  const url = yield* Effect.promise(() => serve(balancer))
  yield* say(`balancer     ${url}, the only address that the reader knows\n`)

  const client = yield* Client.make(Books, { url, retries: 20 })
  let owner: string | undefined
  let killedAt: number | undefined
  const read = client.agents.author.stream({ title: "Failover", chapters }).pipe(
    Stream.tap((event) =>
      Effect.gen(function*() {
        owner ??= balancer.last()
        const late = killedAt === undefined || event.attempt === 1
          ? ""
          : `  (${Date.now() - killedAt} ms after the kill)`
        yield* say(line(event) + (event.type === "run_started" ? late : ""))
        if (event.type !== "token" || !event.data.delta.startsWith(`chapter ${killAfter} `)) return
        const victim = nodes.find((node) => node.url === owner)
        yield* say(`       SIGKILL to pid ${victim?.child.pid}, the node that has the run`)
        killedAt = Date.now()
        victim?.child.kill("SIGKILL")
      })
    )
  )
  const wrong = flaws(yield* Stream.runCollect(read))
  yield* say(
    wrong.length === 0
      ? "\nOne stream, nothing missing, nothing twice, no chapter written again."
      : `\nThat did not hold: ${wrong.join("; ")}.`
  )
  return wrong.length === 0 ? 0 : 1
}).pipe(Effect.ensuring(Effect.promise(stopAll)))

// This is the entry point.
// @effect-diagnostics-next-line strictEffectProvide:off
process.exit(await Effect.runPromise(demo.pipe(Effect.provide(FetchHttpClient.layer))))
