import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Destination, Langfuse } from "fastagentic/observability"
import { key, serveDesk } from "./desk.ts"
import { type Answer, type Posted, vendors } from "./destinations.ts"

const listening = (...args: Parameters<typeof vendors>) =>
  Effect.acquireRelease(Effect.promise(() => vendors(...args)), ({ close }) => Effect.sync(close))

const until = (condition: Effect.Effect<boolean>) =>
  Effect.gen(function*() {
    for (let i = 0; i < 400; i++) {
      if (yield* condition) return
      yield* Effect.sleep(25)
    }
    assert.fail("it never came to be")
  })

const secret = Redacted.make(key)

let tests = 0

/** A vendor that fails beside a collector that works, under names of their own: the counters are those of the process. */
const bothAt = (failing: string, working: string, timeout: "10 seconds" | "100 millis" = "10 seconds") => {
  const names = { failing: `langfuse-${++tests}`, working: `collector-${tests}` }
  const destinations = [
    { ...Langfuse.make({ publicKey: "pk", secretKey: secret, baseUrl: failing, timeout }), name: names.failing },
    Destination.make({ name: names.working, url: `${working}/v1/traces`, spans: "agents" })
  ]
  return { names, destinations }
}

/** The spans of a call that agents have. */
const spansOfCall = 6

const rejecting = (count: number): Uint8Array => {
  const message = Buffer.from("too old")
  const partial = Buffer.concat([Buffer.from([0x08, count, 0x12, message.length]), message])
  return Buffer.concat([Buffer.from([0x0a, partial.length]), partial])
}

interface Case {
  readonly answer: (posted: Posted, count: number) => Answer | "hang"
  readonly exported: number
  readonly lost: number
  readonly reason?: string
}

const cases: Record<string, Case> = {
  "answers 401": { answer: () => ({ status: 401 }), exported: 0, lost: spansOfCall, reason: "answers 401" },
  "answers 400": { answer: () => ({ status: 400 }), exported: 0, lost: spansOfCall, reason: "answers 400" },
  "answers 413 to more than two spans": {
    answer: ({ spans }) => ({ status: spans.length > 2 ? 413 : 200 }),
    exported: spansOfCall,
    lost: 0
  },
  "answers 413 to one span": {
    answer: () => ({ status: 413 }),
    exported: 0,
    lost: spansOfCall,
    reason: "answers 413"
  },
  "answers 429 with Retry-After": {
    answer: (_, count) => count === 0 ? { status: 429, headers: { "retry-after": "1" } } : { status: 200 },
    exported: spansOfCall,
    lost: 0
  },
  "answers 503 once": {
    answer: (_, count) => ({ status: count === 0 ? 503 : 200 }),
    exported: spansOfCall,
    lost: 0
  },
  "answers 200 and rejects a span": {
    answer: (_, count) =>
      count > 0
        ? { status: 200 }
        : ({ status: 200, headers: { "content-type": "application/x-protobuf" }, body: rejecting(1) }),
    exported: spansOfCall - 1,
    lost: 1,
    reason: "rejects items: too old"
  },
  "answers 200 and rejects a span in JSON": {
    answer: (_, count) =>
      count > 0 ?
        { status: 200 } :
        ({
          status: 200,
          headers: { "content-type": "application/json" },
          body: "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"too old\"}}"
        }),
    exported: spansOfCall - 1,
    lost: 1,
    reason: "rejects items: too old"
  }
}

describe("Observability, when a destination", () => {
  for (const [name, { answer, exported, lost, reason }] of Object.entries(cases)) {
    it.live(
      `${name}, counts every span as exported or lost, and no run and no other destination notices`,
      () =>
        Effect.gen(function*() {
          let count = 0
          const failing = yield* listening((posted) => answer(posted, count++))
          const working = yield* listening()
          const { destinations, names } = bothAt(failing.url, working.url)
          const desk = yield* serveDesk({ destinations })
          const { status, text } = yield* desk.ask()
          assert.strictEqual(status, 200, text)
          yield* until(Effect.map(
            Effect.all([desk.counted("exported", names.failing), desk.counted("lost", names.failing)]),
            ([sent, gone]) => sent + gone >= exported + lost
          ))
          assert.deepStrictEqual(
            yield* Effect.all([desk.counted("exported", names.failing), desk.counted("lost", names.failing)]),
            [exported, lost]
          )
          yield* until(Effect.map(desk.counted("exported", names.working), (sent) => sent === spansOfCall))
          assert.strictEqual(yield* desk.counted("lost", names.working), 0)
          if (exported === spansOfCall) {
            const ids = failing.posts.filter(({ status }) => status === 200).flatMap(({ spans }) => spans)
              .map(({ spanId }) => spanId)
            assert.strictEqual(new Set(ids).size, spansOfCall)
            assert.strictEqual(ids.length, spansOfCall)
          }
          const warnings = desk.lines.filter((line) => line.includes("Telemetry is lost"))
          if (reason === undefined) assert.deepStrictEqual(warnings, [])
          else assert.include(warnings.join("\n"), `${names.failing} ${reason}`)
          assert.notInclude(desk.lines.join("\n"), key)
          assert.notInclude(desk.lines.join("\n"), Buffer.from(`pk:${key}`).toString("base64"))
        }),
      60_000
    )
  }

  it.live("answers 429, is not asked again before the time that it names", () =>
    Effect.gen(function*() {
      const at: Array<number> = []
      const failing = yield* listening(() => {
        at.push(Date.now())
        return at.length === 1 ? { status: 429, headers: { "retry-after": "2" } } : { status: 200 }
      })
      const desk = yield* serveDesk({ destinations: bothAt(failing.url, failing.url).destinations.slice(0, 1) })
      yield* desk.ask()
      yield* until(Effect.sync(() => at.length === 2))
      assert.isAtLeast(Number(at[1]) - Number(at[0]), 1_900)
    }), 60_000)

  for (const how of ["hangs", "refuses connections"] as const) {
    it.live(
      `${how}, loses what finds no room, counts and logs it, and the server stops in time`,
      () =>
        Effect.gen(function*() {
          const failing = yield* listening(() => "hang")
          const working = yield* listening()
          if (how === "refuses connections") failing.close()
          const { destinations, names } = bothAt(failing.url, working.url, "100 millis")
          const desk = yield* serveDesk({ destinations })
          for (let i = 0; i < 3; i++) {
            const { status, text } = yield* desk.ask()
            assert.strictEqual(status, 200, text)
          }
          const begun = Date.now()
          yield* desk.stop
          assert.isBelow(Date.now() - begun, 8_000)
          assert.strictEqual(working.spansAt("/v1/traces").length, 3 * spansOfCall)
          assert.include(desk.lines.join("\n"), "Telemetry is lost")
          assert.include(desk.lines.join("\n"), names.failing)
        }),
      60_000
    )
  }
})
