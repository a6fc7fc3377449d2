import { assert, it } from "@effect/vitest"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import { Effect, Redacted } from "effect"
import { Event } from "fastagentic"
import { createServer } from "node:http"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Node } from "./chaos/nodes.ts"
import { fastagentic, fixture, listening, type Running, temporaryFolder } from "./process.ts"

const push = {
  FASTAGENTIC_PUSH_SECRET: "a secret of forty characters for trials!",
  FASTAGENTIC_PUSH_ALLOW: "127.0.0.1"
}
const headers = { "content-type": "application/json", accept: "application/json", "a2a-version": "1.0" }

interface Update {
  readonly task?: Task
  readonly statusUpdate?: { readonly status: { readonly state: string } }
  readonly artifactUpdate?: { readonly artifact: Artifact; readonly append?: boolean }
}
interface Artifact {
  readonly artifactId: string
  readonly parts: ReadonlyArray<{ readonly text?: string }>
}
interface Task {
  readonly id: string
  readonly status: { readonly state: string }
  readonly artifacts?: ReadonlyArray<Artifact>
}

const textOf = (artifact: Artifact | undefined) => artifact?.parts.map(({ text = "" }) => text).join("") ?? ""

/** The text and the last state that updates lead to. */
const assemble = (updates: ReadonlyArray<Update>) => {
  let [text, state] = ["", ""]
  for (const { artifactUpdate, statusUpdate, task } of updates) {
    if (task !== undefined) [text, state] = [textOf(task.artifacts?.[0]), task.status.state]
    if (statusUpdate !== undefined) state = statusUpdate.status.state
    if (artifactUpdate === undefined) continue
    const { append = false, artifact } = artifactUpdate
    text = append ? text + textOf(artifact) : textOf(artifact)
  }
  return { text, state }
}

/** A receiver that drops every fifth delivery, and keeps the last body of each id in the order of their first arrival. */
const receive = async () => {
  const bodies = new Map<string, Update>()
  let count = 0
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", (chunk) => body += String(chunk))
    request.on("end", () => {
      if (++count % 5 === 0) return request.socket.destroy()
      bodies.set(String(request.headers["x-a2a-delivery-id"]), JSON.parse(body))
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`,
    updates: () => [...bodies.values()],
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

const begin = async (node: Node, hook: string, text: string): Promise<Task> => {
  const response = await fetch(`${node.url}/a2a/message:send`, {
    method: "POST",
    headers,
    body: JSON.stringify({
      message: { messageId: globalThis.crypto.randomUUID(), role: "ROLE_USER", parts: [{ text }] },
      metadata: { skillId: "counter" },
      configuration: { returnImmediately: true, taskPushNotificationConfig: { url: hook } }
    })
  })
  const { task } = JSON.parse(await response.text())
  return task
}

const subscribe = async (node: Node, id: string) => {
  const response = await fetch(`${node.url}/a2a/tasks/${id}:subscribe`, { headers })
  const updates: Array<Update> = []
  const done = (async () => {
    let buffer = ""
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      buffer += decoder.decode(chunk, { stream: true })
      const frames = buffer.split("\n\n")
      buffer = frames.pop() ?? ""
      for (const frame of frames) {
        const data = frame.split("\n").find((line) => line.startsWith("data: "))
        if (data !== undefined) updates.push(JSON.parse(data.slice(6)))
      }
    }
  })()
  return { updates, done }
}

const eventually = async (holds: () => boolean) => {
  for (let looks = 0; looks < 1_200 && !holds(); looks++) await sleep(50)
  assert.isTrue(holds())
}

const counted = Array.from({ length: 30 }, (_, index) => `${index + 1} `).join("")

PostgresServer.describeWithServer("A task whose node is killed", () => {
  it.live(
    "is followed on another node to its end, and its notifications arrive whole and in order",
    () =>
      Effect.gen(function*() {
        const url = Redacted.value(yield* PostgresServer.database)
        yield* Effect.promise(async () => {
          const [one, other] = [new Node("trials.ts", url, push), new Node("trials.ts", url, push)]
          const hook = await receive()
          try {
            await Promise.all([one.start(), other.start()])
            const { id } = await begin(one, hook.url, "30")
            const follower = await subscribe(other, id)
            await eventually(() => assemble(follower.updates).text.includes("5 "))
            await one.kill()
            await follower.done
            assert.deepStrictEqual(assemble(follower.updates), { text: counted, state: "TASK_STATE_COMPLETED" })
            await eventually(() => assemble(hook.updates()).state === "TASK_STATE_COMPLETED")
            assert.deepStrictEqual(assemble(hook.updates()), { text: counted, state: "TASK_STATE_COMPLETED" })
          } finally {
            hook.close()
            await Promise.all([one.kill(), other.kill()])
          }
        })
      }).pipe(Effect.scoped),
    180_000
  )
})

it("A killed process on SQLite notifies of the rest of its tasks once it is started again", async () => {
  const node = new Node("trials.ts", join(temporaryFolder(), "trials.db"), push)
  const hook = await receive()
  try {
    await node.start()
    await begin(node, hook.url, "30")
    await eventually(() => assemble(hook.updates()).text.includes("5 "))
    await node.kill()
    await node.start()
    await eventually(() => assemble(hook.updates()).state === "TASK_STATE_COMPLETED")
    assert.deepStrictEqual(assemble(hook.updates()), { text: counted, state: "TASK_STATE_COMPLETED" })
  } finally {
    hook.close()
    await node.kill()
  }
}, 120_000)

const freePort = async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === "object" && address !== null ? address.port : 0
}

/** A server at a fixed port on a file of its own, which can be killed and started again. */
const serverAt = async (app: string, env: Record<string, string>, grpc = false) => {
  const [port, store] = [await freePort(), join(temporaryFolder(), "store.db")]
  const flags = ["--mode", "http", "--port", String(port), "--store", store]
  if (grpc) flags.push("--grpc-port", String(port))
  if ("FASTAGENTIC_PUSH_SECRET" in env) flags.push("--public-url", `http://127.0.0.1:${port}`)
  let running: Running | undefined
  return {
    url: `http://127.0.0.1:${port}`,
    start: async () => {
      running = fastagentic(["run", fixture(app), ...flags], { env })
      await listening(running)
    },
    kill: async () => {
      running?.child.kill("SIGKILL")
      await running?.exited
    }
  }
}

const jsonOf = async (url: string, body?: unknown) => {
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }
  return JSON.parse(await (await fetch(url, { headers, ...sent })).text())
}

/** A server of one card, which offers a binding alone. */
const cardServer = async (url: string, protocolBinding: string) => {
  const address = protocolBinding === "GRPC" ? url.slice("http://".length) : `${url}/a2a`
  const card = {
    supportedInterfaces: [{ url: address, protocolBinding, protocolVersion: "1.0" }],
    capabilities: { pushNotifications: true }
  }
  const server = createServer((_request, response) => response.end(JSON.stringify(card)))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const listening = server.address()
  return {
    url: `http://127.0.0.1:${typeof listening === "object" ? listening?.port : 0}/card`,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

const expected = Array.from({ length: 40 }, (_, index) => `${index + 1} `).join("")

/** Without a stream the server is notified of its remote tasks. */
const cases = [["JSONRPC", false], ["HTTP+JSON", true], ["GRPC", true]] as const

for (const [binding, stream] of cases) {
  const how = stream ? "streamed, " : "notified, "
  it(
    `A task of a remote agent over ${binding} is done once, ${how}and answered, while both servers are killed`,
    async () => {
      const remote = await serverAt("trials.ts", stream ? {} : push, binding === "GRPC")
      const card = await cardServer(remote.url, binding)
      const here = await serverAt("remote.ts", {
        REMOTE: remote.url,
        REMOTE_CARD: card.url,
        ...(stream ? {} : push),
        ...(stream ? { REMOTE_STREAM: "1" } : {})
      })
      try {
        await Promise.all([remote.start(), here.start()])
        const { runId } = await jsonOf(`${here.url}/agents/boss/runs`, { text: "40" })
        for (const server of [here, remote, here, remote]) {
          await sleep(1_000)
          await server.kill()
          await sleep(300)
          await server.start()
        }
        let run = await jsonOf(`${here.url}/runs/${runId}`)
        for (let looks = 0; looks < 600 && run.state !== "completed" && run.state !== "failed"; looks++) {
          await sleep(100)
          run = await jsonOf(`${here.url}/runs/${runId}`)
        }
        assert.deepInclude(run, { state: "completed", output: expected })
        const { tasks } = await jsonOf(`${remote.url}/a2a/tasks`)
        assert.strictEqual(tasks.length, 1)
        if (!stream) return
        const { items } = await jsonOf(`${here.url}/runs?agent=counter`)
        const journal = await jsonOf(`${here.url}/runs/${items[0].runId}/events`)
        const events: ReadonlyArray<Event.RunEvent> = journal.items
        const said = Event.visible(events).map((event) => event.type === "token" ? event.data.delta : "").join("")
        assert.strictEqual(said, expected)
      } finally {
        card.close()
        await Promise.all([remote.kill(), here.kill()])
      }
    },
    180_000
  )
}

/** A server in front of one that is chosen later. */
const frontOf = async (target: () => string | undefined) => {
  let count = 0
  const server = createServer((request, response) => {
    count++
    let body = ""
    request.on("data", (chunk) => body += String(chunk))
    request.on("end", () => {
      const token = String(request.headers["x-a2a-notification-token"])
      void fetch(`${target()}${request.url}`, {
        method: "POST",
        body,
        headers: { "content-type": "application/a2a+json", "x-a2a-notification-token": token }
      }).then(({ status }) => response.writeHead(status).end(), () => response.writeHead(502).end())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    count: () => count,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

PostgresServer.describeWithServer("A notification of a remote task that comes to another node", () => {
  it.live(
    "wakes the run at once",
    () =>
      Effect.gen(function*() {
        const url = Redacted.value(yield* PostgresServer.database)
        yield* Effect.promise(async () => {
          const remote = await serverAt("trials.ts", push)
          const card = await cardServer(remote.url, "JSONRPC")
          let other: Node | undefined
          const front = await frontOf(() => other?.url)
          const env = { ...push, REMOTE: remote.url, REMOTE_CARD: card.url, FASTAGENTIC_PUBLIC_URL: front.url }
          const one = new Node("remote.ts", url, env)
          other = new Node("remote.ts", url, env)
          try {
            await Promise.all([remote.start(), one.start(), other.start()])
            const { runId } = await jsonOf(`${one.url}/agents/boss/runs`, { text: "100" })
            const ended = async (at: string | undefined, id: string) => {
              let run = await jsonOf(`${at}/runs/${id}`)
              for (let looks = 0; looks < 600 && run.state !== "completed"; looks++) {
                await sleep(50)
                run = await jsonOf(`${at}/runs/${id}`)
              }
              return { state: run.state, at: Date.now() }
            }
            let { tasks } = await jsonOf(`${remote.url}/a2a/tasks`)
            for (let looks = 0; looks < 200 && tasks.length === 0; looks++) {
              await sleep(50)
              tasks = (await jsonOf(`${remote.url}/a2a/tasks`)).tasks
            }
            const [there, here] = await Promise.all([ended(remote.url, tasks[0].id), ended(one.url, runId)])
            assert.strictEqual(here.state, "completed")
            assert.isAbove(front.count(), 0)
            // Reads alone come 5 seconds apart and more by then.
            assert.isBelow(here.at - there.at, 2_500)
          } finally {
            front.close()
            card.close()
            await Promise.all([remote.kill(), one.kill(), other.kill()])
          }
        })
      }).pipe(Effect.scoped),
    120_000
  )
})
