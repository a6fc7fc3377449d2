import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { lasting, type Person, serve, type Served } from "./matrix/lab.ts"
import * as Transports from "./matrix/transports.ts"

/** Two users of one tenant, and one of another tenant with all scopes. */
const parties = ["ann", "bob", "eve"] as const satisfies ReadonlyArray<Person>
type Party = typeof parties[number]

const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31)
const millis = 5_000

/** Mulberry32. */
const random = (from: number) => {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const Paths = Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Unknown))

/** The documented routes: a new route is fuzzed as soon as it is documented. */
const routesOf = async (lab: Served) => {
  const { body } = await Transports.request(`${lab.url}/openapi.json`)
  return Object.entries(Schema.decodeUnknownSync(Paths)(body.paths)).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path }))
  )
}

const headersOf = (party: Party) => ({ "x-api-key": `key-of-${party}` })

const uuids = (text: string) => text.match(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gu) ?? []

/** The content of a stream within a time limit. */
const said = async (url: string, init: RequestInit) => {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), 250)
  let text = ""
  try {
    const response = await fetch(url, { ...init, signal: controller.signal })
    text = `${response.status} ${JSON.stringify([...response.headers])} `
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true })
  } catch {
    if (!controller.signal.aborted) throw new Error(`${url} could not be read`)
  } finally {
    clearTimeout(timer)
  }
  return text
}

describe("two tenants at once", () => {
  it.live("tenants and users see nothing of each other", () =>
    Effect.gen(function*() {
      const lab = yield* serve(yield* lasting, true)
      const routes = yield* Effect.promise(() => routesOf(lab))
      console.log(`two tenants: FUZZ_SEED=${seed}`)
      const owners = new Map<string, Party>()
      const ids: Array<string> = [globalThis.crypto.randomUUID()]
      const leaks: Array<string> = []
      const own: Record<Party, number> = { ann: 0, bob: 0, eve: 0 }
      /** Names of threads and principals that parties chose, some of which are ids of others. */
      const named = { ann: new Set<string>(), bob: new Set<string>(), eve: new Set<string>() }
      const seenRoutes = new Set<string>()
      let operations = 0
      let marks = 0

      /** An answer may contain only the reader's data; requested ids may be repeated. */
      const search = (party: Party, asked: string, answer: string) => {
        operations++
        // The apps of other tests in this process have metrics, too.
        const text = asked.includes("/metrics") ? answer.replaceAll(/^.*app="(?!lab").*$/gmu, "") : answer
        for (const [mark, owner] of text.matchAll(/of-(ann|bob|eve)-\d+/gu)) {
          if (owner === party) own[party]++
          else if (!asked.includes(mark)) leaks.push(`${party} saw ${mark} in ${asked}: ${text.slice(0, 300)}`)
        }
        for (const id of uuids(text)) {
          const owner = owners.get(id)
          if (owner !== undefined && owner !== party && !asked.includes(id) && !named[party].has(id)) {
            leaks.push(`${party} saw a run of ${owner} in ${asked}`)
          }
        }
        const others = party === "eve" ? /"(ann|bob|acme)"/u : /"(eve|other)"/u
        if (others.test(text)) leaks.push(`${party} saw who is there in ${asked}: ${text.slice(0, 300)}`)
      }

      /** Runs and interrupts in an answer belong to the reader, unless the reader named them. */
      const learn = (party: Party, asked: string, text: string) => {
        for (const [, id = ""] of text.matchAll(/"(?:runId|id)":"([0-9a-f-]{36})"/gu)) {
          if (owners.has(id) || asked.includes(id)) continue
          owners.set(id, party)
          ids.push(id)
        }
      }

      const act = async (party: Party, next: () => number) => {
        const pick = <A>(from: ReadonlyArray<A>): A => {
          const picked = from[Math.floor(next() * from.length)]
          if (picked === undefined) throw new Error("nothing to pick from")
          return picked
        }
        const id = () => pick(ids.slice(-60))
        const mark = () => `of-${party}-${++marks}`
        const agents = ["plain", "secret", "blocked", "pokes", "pays", "spends"]
        const work = () => ({ mark: mark(), ...(next() < 0.5 ? { pause: true } : {}) })
        const shared = { "idempotency-key": `shared-${Math.floor(next() * 20)}`, "x-thread-id": pick(["t1", "t2"]) }
        const [name, send]: readonly [string, () => Promise<string>] = pick([
          () => {
            const { method, path } = pick(routes)
            seenRoutes.add(`${method} ${path}`)
            const filled = path.replaceAll(/\{\w+\}/gu, id)
            // The entry about a thread that is erased, or a principal that is held, has the name that the party gave.
            if (/^\/(threads|principals)\//u.test(path)) { for (const one of uuids(filled)) named[party].add(one) }
            const body = path.startsWith("/agents/boss")
              ? { agent: pick(agents), payload: work() }
              : path.startsWith("/agents/")
              ? work()
              : path.startsWith("/tools/")
              ? { mark: mark() }
              : path.endsWith("/cancel")
              ? { reason: mark() }
              : path.includes("/interrupts/")
              ? { decision: "approve", value: true, reason: mark() }
              : {}
            const query = path === "/usage" && next() < 0.5 ? "?of=tenant" : path === "/runs" ? "?limit=100" : ""
            const init = {
              method,
              headers: {
                ...Transports.json,
                ...headersOf(party),
                ...(next() < 0.5 ? shared : {}),
                accept: pick(["application/json", "text/event-stream"])
              },
              ...(method === "GET" ? {} : { body: JSON.stringify(body) })
            }
            return [`${method} ${filled}${query}`, () => said(`${lab.url}${filled}${query}`, init)] as const
          },
          () => {
            const op = pick([
              "start",
              "follow",
              "unfollow",
              "cancel",
              "answer",
              "resume",
              "fork",
              "retry",
              "checkpoints"
            ])
            const frame = op === "start"
              ? { op, agent: pick(agents), payload: work(), idempotencyKey: shared["idempotency-key"] }
              : { op, runId: id(), ...(op === "answer" ? { interruptId: id(), decision: "approve", value: true } : {}) }
            const asked = JSON.stringify(frame)
            return [`WebSocket ${asked}`, () => Transports.frames(lab.url, headersOf(party), frame, 150)] as const
          },
          () => {
            const [method, params] = pick<readonly [string, Record<string, unknown>]>([
              ["tools/call", {
                name: pick(agents),
                arguments: work(),
                _meta: { "fastagentic/idempotencyKey": shared["idempotency-key"] }
              }],
              ["tools/list", {}],
              ["resources/list", {}],
              ["resources/read", { uri: "lab://handbook" }],
              ["prompts/list", {}],
              ["prompts/get", { name: "greeting" }],
              ["notifications/cancelled", { requestId: 1 }]
            ])
            const init = Transports.mcpRequest(method, params, { ...headersOf(party), "mcp-session-id": "shared" })
            return [`MCP ${method}`, () => said(`${lab.url}/mcp`, init)] as const
          },
          () => {
            const method = pick([
              "SendMessage",
              "SendStreamingMessage",
              "GetTask",
              "CancelTask",
              "SubscribeToTask",
              "GetExtendedAgentCard"
            ])
            const contextId = pick(["c1", id()])
            named[party].add(contextId)
            const message = {
              messageId: shared["idempotency-key"],
              role: "ROLE_USER",
              ...(next() < 0.5 ? { contextId } : {}),
              ...(next() < 0.3
                ? { taskId: id(), parts: [{ data: { decision: "approve", value: true } }] }
                : { parts: [{ data: work() }] })
            }
            const params = method.startsWith("Send")
              ? { message, metadata: { skillId: pick(agents) } }
              : { id: id() }
            const init = Transports.a2aRequest(method, params, headersOf(party))
            return [`A2A ${method} ${init.body}`, () => said(`${lab.url}/a2a`, init)] as const
          }
        ])()
        const text = await send()
        learn(party, name, text)
        search(party, name, text)
      }

      const until = Date.now() + millis
      yield* Effect.promise(() =>
        Promise.all(parties.flatMap((party, index) =>
          Array.from({ length: 6 }, async (_, worker) => {
            const next = random(seed + index * 100 + worker)
            while (Date.now() < until || operations < 150) await act(party, next)
          })
        ))
      )
      // Every resource that exists by now.
      for (const party of parties) {
        for (const path of ["/runs?limit=100", "/interrupts", "/audit?limit=200", "/usage", "/usage?of=tenant"]) {
          search(party, path, yield* Effect.promise(() => said(lab.url + path, { headers: headersOf(party) })))
        }
      }
      assert.deepStrictEqual(leaks.slice(0, 5), [], `FUZZ_SEED=${seed}`)
      assert.isAtLeast(operations, 150)
      assert.isAbove(seenRoutes.size, 5)
      for (const party of parties) assert.isAbove(own[party], 0, `${party} has seen nothing at all`)
    }).pipe(Effect.scoped), 60_000)

  it.live("another owner's run is indistinguishable from a missing one", () =>
    Effect.gen(function*() {
      const lab = yield* serve(yield* lasting, true)
      const { body: asked } = yield* Effect.promise(() =>
        Transports.request(`${lab.url}/agents/plain`, {
          method: "POST",
          headers: { ...Transports.json, ...headersOf("ann") },
          body: JSON.stringify({ mark: "of-ann-0", pause: true })
        })
      )
      const theirs = String(asked.runId)
      const interrupt = String(asked.interrupts[0].id)
      const routes = (yield* Effect.promise(() => routesOf(lab))).filter(({ path }) => path.includes("{runId}"))
      assert.isAbove(routes.length, 8)
      const shape = (runId: string, text: string) =>
        text.replaceAll(runId, "RUN").replaceAll(/[0-9a-f]{32}/gu, "TRACE").replaceAll(/-[0-9a-f]{16}-/gu, "-SPAN-")
          .replaceAll(/\["date","[^"]*"\]/gu, "")
      for (const party of ["bob", "eve"] as const) {
        const answers = async (runId: string) => {
          const answers: Array<string> = []
          for (const { method, path } of routes) {
            const filled = path.replace("{runId}", runId).replaceAll(/\{\w+\}/gu, interrupt)
            const body = path.endsWith("}") && method === "POST" ? { decision: "approve", value: true } : {}
            const init = {
              method,
              headers: { ...Transports.json, ...headersOf(party) },
              ...(method === "GET" ? {} : { body: JSON.stringify(body) })
            }
            answers.push(`${method} ${path}: ${shape(runId, await said(lab.url + filled, init))}`)
          }
          for (const op of ["follow", "unfollow", "cancel", "resume", "fork", "retry", "checkpoints"]) {
            const frame = { op, runId }
            answers.push(`${op}: ${shape(runId, await Transports.frames(lab.url, headersOf(party), frame, 100))}`)
          }
          for (const method of ["GetTask", "CancelTask", "SubscribeToTask"]) {
            const init = Transports.a2aRequest(method, { id: runId }, headersOf(party))
            answers.push(`${method}: ${shape(runId, await said(`${lab.url}/a2a`, init))}`)
          }
          return answers
        }
        const [real, none] = yield* Effect.promise(async () =>
          [await answers(theirs), await answers(globalThis.crypto.randomUUID())] as const
        )
        assert.deepStrictEqual(real, none, party)
        for (const one of real) assert.match(one, /RunNotFound|TASK_NOT_FOUND/u)
      }
    }).pipe(Effect.scoped), 60_000)
})
