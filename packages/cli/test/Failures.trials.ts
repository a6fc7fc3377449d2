import { assert, describe, it } from "@effect/vitest"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { Effect, Redacted } from "effect"
import { once } from "node:events"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"
import { Node } from "./chaos/nodes.ts"
import { type Answer, ask, eventsOf, post } from "./chaos/requests.ts"
import { temporaryFolder } from "./process.ts"

const withNodes = async (
  store: string,
  count: number,
  use: (nodes: ReadonlyArray<Node>) => Promise<void>,
  env = {}
) => {
  const nodes = Array.from({ length: count }, () => new Node("trials.ts", store, env))
  try {
    await Promise.all(nodes.map((node) => node.start()))
    await use(nodes)
  } finally {
    await Promise.all(nodes.map((node) => node.kill()))
  }
}

const start = async (node: Node | undefined, agent: string, payload: unknown): Promise<string> => {
  const started = await ask(node?.url, `/agents/${agent}/runs`, post(payload))
  assert.strictEqual(started?.status, 202, JSON.stringify(started))
  return started?.body.runId
}

/** Polls a run until it matches. */
const becomes = async (node: Node | undefined, runId: string, is: (run: Answer["body"]) => boolean) => {
  let seen: Answer | undefined
  for (let looks = 0; looks < 1_200; looks++) {
    seen = await ask(node?.url, `/runs/${runId}`)
    if (seen?.status === 200 && is(seen.body)) return seen.body
    await sleep(50)
  }
  throw new Error(`the run is ${JSON.stringify(seen)}`)
}

const completed = (run: Answer["body"]) => run.state === "completed"

const journal = async (node: Node | undefined, runId: string) => {
  const events = await eventsOf((path) => ask(node?.url, path), runId) ?? []
  assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
  return events
}

const rssMiB = ({ pid }: Node) =>
  Number(/VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024

const standsStill = (url: string) =>
  withNodes(url, 2, async ([slow, other]) => {
    const runId = await start(slow, "steps", { count: 20, millis: 150 })
    await becomes(slow, runId, ({ seq }) => seq > 3)
    slow?.pause()
    const run = await becomes(other, runId, completed)
    assert.deepInclude(run, { attempt: 2, output: 20 })
    const before = await journal(other, runId)
    slow?.go()
    await becomes(slow, runId, completed)
    for (let waits = 0; waits < 100 && !slow?.stderr.includes("A run was lost"); waits++) await sleep(50)
    assert.include(slow?.stderr ?? "", "A run was lost")
    assert.deepStrictEqual(await journal(slow, runId), before)
    const steps = before.filter(({ type }) => type === "checkpoint").map(({ data }) => data.checkpointId)
    assert.strictEqual(new Set(steps).size, 20)
    assert.strictEqual(steps.length, 20)
    assert.deepStrictEqual(before.map(({ attempt }) => attempt), before.map(({ attempt }) => attempt).toSorted())
  })

const writesNothing = "can write nothing more: another one has finished its run, once"

PostgresServer.describeWithServer("A process that stands still for longer than its lease", () => {
  it.live(writesNothing, () =>
    Effect.gen(function*() {
      const url = Redacted.value(yield* PostgresServer.database)
      yield* Effect.promise(() => standsStill(url))
    }).pipe(Effect.scoped), 120_000)
})

RedisServer.describeWithOwnServer("A process on Redis that stands still for longer than its lease", () => {
  it.live(writesNothing, () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer.ownServer()
      yield* Effect.promise(() => standsStill(Redacted.value(url)))
    }).pipe(Effect.scoped), 120_000)
})

/** Runs start and finish while the database restarts repeatedly. */
const keepsUp = async (store: string, restart: () => Promise<void>) =>
  withNodes(store, 2, async (nodes) => {
    const wrong: Array<string> = []
    let [refusals, over] = [0, false]
    const admitted: Array<string> = []
    const load = async (worker: number) => {
      for (let count = 0; !over; count++) {
        const key = { "idempotency-key": `${worker} ${count}` }
        for (let done = false; !done && !over;) {
          const url = nodes[count % 2]?.url
          const started = await ask(url, "/agents/steps/runs", post({ count: 3, millis: 20 }, key))
          done = started?.status === 202
          if (done) admitted.push(started?.body.runId)
          else if (started?.status === 503 && started.body.error?._tag === "StoreUnavailable") refusals++
          else if (started !== undefined) wrong.push(`${started.status} ${JSON.stringify(started.body)}`)
          await sleep(50)
        }
      }
    }
    const loads = [1, 2, 3, 4].map(load)
    for (let restarts = 0; restarts < 3; restarts++) {
      await sleep(1_500)
      await restart()
    }
    await sleep(500)
    over = true
    await Promise.all(loads)
    assert.deepStrictEqual(wrong, [])
    assert.isAbove(refusals, 0)
    assert.isAbove(admitted.length, 10)
    assert.strictEqual(new Set(admitted).size, admitted.length)
    for (const runId of admitted) {
      const run = await becomes(
        nodes[0],
        runId,
        ({ state, waitsFor }) => state === "completed" || waitsFor === "repair"
      )
      assert.strictEqual(run.state, "completed", `${runId} waits for repair`)
      await journal(nodes[1], runId)
    }
  })

PostgresServer.describeWithOwnServer("A PostgreSQL that is restarted under load", () => {
  it("no admitted run is lost, and other requests are refused with 503", async () => {
    const server = await PostgresServer.Server.make()
    try {
      await keepsUp(Redacted.value(server.url), async () => {
        await server.stop("SIGQUIT")
        await sleep(700)
        await server.start()
      })
    } finally {
      await server.remove()
    }
  }, 120_000)
})

RedisServer.describeWithOwnServer("A Redis that is restarted under load", () => {
  it("no admitted run is lost, and other requests are refused with 503", async () => {
    const server = await RedisServer.Server.make()
    try {
      await keepsUp(Redacted.value(server.url), async () => {
        await server.stop("SIGKILL")
        await sleep(700)
        await server.start()
      })
    } finally {
      await server.remove()
    }
  }, 120_000)
})

describe("A run that ends its process", () => {
  it("the run is held after the fourth loss, and continues when it is resumed", async () => {
    const folder = temporaryFolder()
    const poison = join(folder, "poison")
    const node = new Node("trials.ts", join(folder, "runs.db"), { POISON: poison })
    try {
      await node.start()
      const patient = await start(node, "talker", { words: 1 })
      writeFileSync(poison, "")
      const key = { "idempotency-key": "poison" }
      await ask(node.url, "/agents/poison/runs", post({}, key))
      let deaths = 0
      // The run may kill its process before the process reports that it is ready.
      for (let alive = false; !alive; deaths++) {
        await Promise.race([node.exited, sleep(1_000)])
        alive = await node.start().then(() => true, () => false) && (await ask(node.url, "/health"))?.status === 200
        assert.isBelow(deaths, 10)
      }
      assert.strictEqual(deaths, 4)
      const { body: { runId } } = await ask(node.url, "/agents/poison/runs", post({}, key)) ?? { body: {} }
      const held = await becomes(node, runId, ({ state }) => state === "suspended")
      assert.deepInclude(held, { state: "suspended", waitsFor: "repair" })
      assert.deepInclude(await becomes(node, patient, () => true), { state: "suspended", waitsFor: "interrupt" })
      rmSync(poison)
      assert.include([200, 202], (await ask(node.url, `/runs/${runId}/resume`, post({})))?.status)
      assert.deepInclude(await becomes(node, runId, completed), { output: "survived" })
      const events = await journal(node, runId)
      assert.strictEqual(events.filter(({ type }) => type === "checkpoint").length, 1)
    } finally {
      await node.kill()
    }
  }, 120_000)
})

describe("A row that is damaged by hand", () => {
  it("the row's run ends with JournalDamaged, and other runs are unaffected", async () => {
    const file = join(temporaryFolder(), "runs.db")
    const node = new Node("trials.ts", file)
    try {
      await node.start()
      const runs: Array<string> = []
      for (let count = 0; count < 3; count++) runs.push(await start(node, "steps", { count: 4, millis: 300 }))
      const [step = "", event = "", whole = ""] = runs
      for (const runId of runs) await becomes(node, runId, ({ seq }) => seq >= 2)
      await node.kill()
      const database = new DatabaseSync(file)
      database.prepare("UPDATE run_steps SET value = '{not json' WHERE run_id = ?").run(step)
      database.prepare("UPDATE run_events SET body = '[{}]' WHERE run_id = ? AND last_seq = 2").run(event)
      database.close()
      await node.start()
      const failed = await becomes(node, step, ({ state }) => state === "failed")
      assert.deepInclude(failed.error, { tag: "JournalDamaged", status: 500 })
      assert.deepInclude(await becomes(node, whole, completed), { output: 4 })
      // A second attempt compares its words with the journal, so this run ends too; readers of the event get the error.
      const unread = await becomes(node, event, ({ state }) => state === "failed")
      assert.deepInclude(unread.error, { tag: "JournalDamaged", status: 500 })
      const read = await ask(node.url, `/runs/${event}/events`)
      assert.deepStrictEqual([read?.status, read?.body.error._tag], [500, "JournalDamaged"])
      assert.strictEqual((await ask(node.url, `/runs/${event}/events?after=2`))?.status, 200)
      assert.strictEqual((await ask(node.url, "/health"))?.status, 200)
    } finally {
      await node.kill()
    }
  }, 120_000)
})

describe("Fifty subscribers", () => {
  it(
    "get the whole stream although one of them never reads",
    () =>
      withNodes(join(temporaryFolder(), "runs.db"), 1, async ([node]) => {
        const words = 4_000
        const runId = await start(node, "talker", { words })
        const { body: { items: [{ id }] } } = await ask(node?.url, `/runs/${runId}/interrupts`) ?? { body: {} }
        const { host, port } = new URL(node?.url ?? "")
        const deaf = connect(Number(port), "127.0.0.1")
        await once(deaf, "connect")
        deaf.pause().write(`GET /runs/${runId}/events HTTP/1.1\r\nHost: ${host}\r\nAccept: text/event-stream\r\n\r\n`)
        const follow = async () => {
          const response = await fetch(`${node?.url}/runs/${runId}/events`)
          let [text, events, ended] = ["", 0, false]
          for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
            ended ||= (text + chunk).includes("event: done")
            // The kept list is shorter than the count.
            text = text.slice(-13) + chunk
            events += text.split("\nevent: token\n").length - 1
          }
          return { ended, events }
        }
        const followers = Array.from({ length: 49 }, follow)
        await sleep(200)
        await ask(node?.url, `/runs/${runId}/interrupts/${id}`, post({ decision: "approve", value: true }))
        const seen = await Promise.all(followers)
        assert.deepStrictEqual(seen, Array.from({ length: 49 }, () => ({ ended: true, events: words })))
        deaf.destroy()
      }),
    120_000
  )
})

describe("Ten thousand runs that wait", () => {
  it("waiting runs are not active, and a process that starts on them is as small as an empty one", async () => {
    const folder = temporaryFolder()
    const active = async (node: Node) => {
      const metrics = await (await fetch(`${node.url}/metrics`)).text()
      return /^fastagentic_runs_active(?:\{[^}]*\})? (\d+)/mu.exec(metrics)?.[1]
    }
    let empty = 0
    await withNodes(join(folder, "empty.db"), 1, async ([node]) => {
      await sleep(500)
      empty = node === undefined ? 0 : rssMiB(node)
    })
    const file = join(folder, "runs.db")
    await withNodes(file, 1, async ([node]) => {
      assert(node !== undefined)
      const waiting: Array<string> = []
      while (waiting.length < 500) {
        waiting.push(...await Promise.all(Array.from({ length: 50 }, () => start(node, "talker", { words: 1 }))))
      }
      const [first = "", last = ""] = [waiting[0], waiting.at(-1)]
      const waits = ({ waitsFor }: Answer["body"]) => waitsFor === "interrupt"
      await becomes(node, last, waits)
      assert.strictEqual(await active(node), "0")
      await node.kill()
      multiply(file, 20)
      await node.start()
      await sleep(1_000)
      assert.strictEqual(await active(node) ?? "0", "0")
      assert.isBelow(rssMiB(node) - empty, 50)
      const copy = `${"0".repeat(6)}13${first.slice(8)}`
      const { body: { items: [{ id }] } } = await ask(node.url, `/runs/${copy}/interrupts`) ?? { body: {} }
      const answer = post({ decision: "approve", value: true })
      assert.include([200, 202], (await ask(node.url, `/runs/${copy}/interrupts/${id}`, answer))?.status)
      await becomes(node, copy, completed)
    })
  }, 120_000)
})

/** Creates copies of each run in a closed file. */
const multiply = (file: string, times: number) => {
  const database = new DatabaseSync(file)
  for (const table of ["runs", "run_values", "run_events", "interrupts"]) {
    database.exec(`CREATE TEMP TABLE copy AS SELECT * FROM ${table}`)
    for (let count = 1; count < times; count++) {
      database.prepare("UPDATE copy SET run_id = ? || substr(run_id, 9)").run(count.toString(16).padStart(8, "0"))
      database.exec(`INSERT INTO ${table} SELECT * FROM copy`)
    }
    database.exec("DROP TABLE copy")
  }
  const [row] = database.prepare("SELECT count(*) AS runs FROM runs WHERE state = 'suspended'").all()
  assert.strictEqual(row?.["runs"], 10_000)
  database.close()
}
