import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { makeRandom } from "./chaos/random.ts"
import { lastingOnDisk, people, type Person, serve, type Served } from "./matrix/lab.ts"
import * as Transports from "./matrix/transports.ts"

/** Owners, a reader, an actor and an approver of one tenant, and an owner and an actor of another. */
const parties = ["ann", "bob", "rita", "abe", "lead", "eve", "oda"] as const satisfies ReadonlyArray<Person>
type Party = typeof parties[number]

const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31)
const Paths = Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Unknown))

const routesOf = async (lab: Served) => {
  const { body } = await Transports.request(`${lab.url}/openapi.json`)
  return Object.entries(Schema.decodeUnknownSync(Paths)(body.paths)).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path }))
  )
}

const headersOf = (party: Party) => ({ ...Transports.json, "x-api-key": `key-of-${party}` })
const readsAll = (party: Party) => ["rita", "abe", "oda", "eve"].includes(party)

/** The answer to a request, or as much of a stream as comes in a while. */
const answerTo = async (url: string, init: RequestInit) => {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), 300)
  let [status, text] = [0, ""]
  try {
    const response = await fetch(url, { ...init, signal: controller.signal })
    status = response.status
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true })
  } catch {
    if (!controller.signal.aborted) throw new Error(`${url} could not be read`)
  } finally {
    clearTimeout(timer)
  }
  return { status, text }
}

describe("four roles of two tenants at once", () => {
  it.live(
    "each role sees and does no more than it may, and what it saw of others is in the audit log",
    () =>
      Effect.gen(function*() {
        const lab = yield* serve(yield* lastingOnDisk, true)
        const routes = yield* Effect.promise(() => routesOf(lab))
        const ownerOf = new Map<string, Party>()
        const ids: Array<string> = []
        const faults: Array<string> = []
        /** The reader of something of others, and the target of the entry that there has to be. */
        const seen = new Map<string, string>()
        let [marks, acted] = [0, 0]

        const look = (
          party: Party,
          asked: string,
          target: string | undefined,
          { status, text }: { status: number; text: string }
        ) => {
          for (const [mark, owner = ""] of text.matchAll(/of-(\w+)-\d+/gu)) {
            if (owner === party || asked.includes(mark)) continue
            const isTenant = parties.some((one) => one === owner && people[one].tenant === people[party].tenant)
            // An approver sees the question that it may decide.
            const may = isTenant && (readsAll(party) || (party === "lead" && /interrupts/u.test(asked)))
            if (!may) faults.push(`${party} saw ${mark} in ${asked}`)
            if (may && target !== undefined && status >= 200 && status < 300) seen.set(`${party} ${target}`, asked)
          }
        }

        const step = async (party: Party, next: ReturnType<typeof makeRandom>) => {
          const pick = <A>(from: ReadonlyArray<A>): A => next.pick(from) ?? assert.fail("nothing to pick from")
          const mark = `of-${party}-${++marks}`
          if (ids.length < 6 || next.next() < 0.25) {
            const agent = pick(["plain", "pays", "boss"])
            const work = { mark, ...(next.next() < 0.5 ? { pause: true } : {}) }
            const body = agent === "boss" ? { agent: "pays", payload: work } : work
            const init = { method: "POST", headers: headersOf(party), body: JSON.stringify(body) }
            const { text } = await answerTo(`${lab.url}/agents/${agent}/runs`, init)
            const [, runId] = /"runId":"([0-9a-f-]{36})"/u.exec(text) ?? []
            if (runId !== undefined) {
              ids.push(runId)
              ownerOf.set(runId, party)
            }
            return
          }
          const runId = pick(ids.slice(-30))
          const [owner, run] = [ownerOf.get(runId), `run/${runId}`]
          if (next.next() < 0.2) {
            const frame = { op: pick(["follow", "checkpoints", "cancel", "retry"]), runId }
            const text = await Transports.frames(lab.url, headersOf(party), frame, 100)
            look(party, JSON.stringify(frame), run, { status: 200, text })
            return
          }
          if (next.next() < 0.2) {
            const init = Transports.a2aRequest(pick(["GetTask", "SubscribeToTask"]), { id: runId }, headersOf(party))
            look(party, "A2A", run, await answerTo(`${lab.url}/a2a`, init))
            return
          }
          const { method, path } = pick(
            routes.filter(({ path }) => /^\/(runs|interrupts|threads|usage|audit)/u.test(path))
          )
          const interrupts = await answerTo(`${lab.url}/runs/${runId}/interrupts`, { headers: headersOf(party) })
          look(party, `/runs/${runId}/interrupts`, run, interrupts)
          const [, asked = runId] = /"id":"([0-9a-f-]{36})"/u.exec(interrupts.text) ?? []
          const filled = path.replace("{runId}", runId).replace("{interruptId}", asked).replaceAll(/\{\w+\}/gu, runId)
          const query = filled === "/runs" ? "?limit=100&fields=payload" : ""
          const body = filled.includes("/interrupts/") ? { decision: pick(["approve", "deny"]), value: true } : {}
          const init = {
            method,
            headers: headersOf(party),
            ...(method === "GET" ? {} : { body: JSON.stringify(body) })
          }
          const answer = await answerTo(`${lab.url}${filled}${query}`, init)
          const target = filled.includes(runId) ? run : filled.slice(1)
          look(party, filled, path.startsWith("/runs") || path === "/interrupts" ? target : undefined, answer)
          if (method === "GET" || answer.status < 200 || answer.status >= 300 || owner === party) return
          acted++
          const isOfTenant = owner !== undefined && people[owner].tenant === people[party].tenant
          const may = isOfTenant &&
            (["abe", "oda", "eve"].includes(party) || (party === "lead" && path.includes("interrupt")))
          if (filled.includes(runId) && path.startsWith("/runs") && !may) {
            faults.push(`${party} did ${method} ${filled}`)
          }
        }

        // A slow machine comes to less in six seconds, and has longer.
        const began = Date.now()
        const goesOn = () => {
          const millis = Date.now() - began
          return millis < 6_000 || (millis < 30_000 && (seen.size <= 10 || acted === 0 || !allSaw()))
        }
        const allSaw = () =>
          ["rita", "abe", "lead"].every((party) => [...seen.keys()].some((one) => one.startsWith(party)))
        yield* Effect.promise(() =>
          Promise.all(parties.flatMap((party, index) =>
            [0, 1].map(async (worker) => {
              const next = makeRandom(seed + index * 10 + worker)
              while (goesOn()) await step(party, next)
            })
          ))
        )
        const entries: Array<{ readonly action: string; readonly principal: string | null; readonly target: string }> =
          []
        for (const tenant of ["acme", "other"]) {
          entries.push(...yield* Effect.orDie(lab.audit.page({ tenant, after: 0, limit: 100_000 })))
        }
        const reads = new Set(
          entries.flatMap(({ action, principal, target }) => action === "read" ? [`${principal} ${target}`] : [])
        )
        const missing = [...seen].filter(([read]) => !reads.has(read)).map(([read, asked]) => `${read} by ${asked}`)
        const about = `FUZZ_SEED=${seed}`
        assert.deepStrictEqual({ faults: faults.slice(0, 5), missing: missing.slice(0, 5) }, {
          faults: [],
          missing: []
        }, about)
        assert.isAbove(seen.size, 10, about)
        assert.isAbove(acted, 0, about)
        for (const party of ["rita", "abe", "lead"]) {
          assert.isTrue([...seen.keys()].some((one) => one.startsWith(party)), `${party} saw nothing, ${about}`)
        }
      }).pipe(Effect.scoped),
    60_000
  )
})
