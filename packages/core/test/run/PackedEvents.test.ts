import { assert, describe, it } from "@effect/vitest"
import { Event, PackedEvents } from "@fastagentic/core"

const at = { runId: "r", first: 7 }

const stamped = (events: ReadonlyArray<Event.Event>): ReadonlyArray<PackedEvents.Entry> =>
  events.map((event, index) => ({ ...event, ts: 1_000 + index * 3, attempt: 1 }))

const words = (count: number) => Array.from({ length: count }, (_, index) => Event.token(`word ${index} `, "m"))

describe("PackedEvents", () => {
  it("is a tenth of what it was, and gives back what it was", () => {
    const events = stamped([...words(1_000), Event.make("done", { output: null })])
    const packed = PackedEvents.pack(events)
    assert.strictEqual(packed.length, 2)
    assert.isBelow(JSON.stringify(packed).length, JSON.stringify(events).length / 5)
    const stored: ReadonlyArray<PackedEvents.Entry> = JSON.parse(JSON.stringify(packed))
    const numbered: ReadonlyArray<unknown> = events.map((event, index) => ({ ...event, runId: "r", seq: 7 + index }))
    assert.deepStrictEqual<ReadonlyArray<unknown>>(PackedEvents.decode(stored, at), numbered)
  })

  it("keeps apart what differs, and what is no delta", () => {
    const other = { type: "token", data: { delta: "x" }, ts: 1, attempt: 2 }
    const events = [
      ...stamped([Event.token("a"), Event.token("b", "m"), Event.make("reasoning_delta", { delta: "c" })]),
      ...stamped([Event.log("info", "d"), Event.log("info", "d"), Event.make("token", { delta: "e" }, ["p"])]),
      other
    ]
    assert.deepStrictEqual(PackedEvents.pack(events), events)
  })

  it("takes nothing of a handler's for its own", () => {
    const odd = stamped([Object.assign(Event.token("abc"), { cuts: [1, 0, 2, 0] })])
    assert.strictEqual(PackedEvents.unpack(PackedEvents.pack(odd), at).length, 1)
  })

  it("texts that were cut short or grew are damaged", () => {
    const [entry] = PackedEvents.pack(stamped(words(3)))
    for (const delta of ["", "word", "word 0 word 1 word 2 and more"]) {
      assert.throws(() => PackedEvents.unpack([{ ...entry, data: { delta, messageId: "m" } }], at), /characters/u)
    }
  })
})
