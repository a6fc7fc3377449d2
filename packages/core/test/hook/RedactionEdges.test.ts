import { assert, describe, it } from "@effect/vitest"
import { Redaction } from "@fastagentic/core"
import { Effect } from "effect"

const all: Redaction.Options = { pii: true }
const about = {
  runId: "",
  kind: "agent",
  agent: "",
  type: "token",
  principal: { id: "", tenant: "", scopes: [], roles: [], claims: {} }
} as const

/** A text in pieces of a size, as a guard lets it out. */
const streamed = Effect.fnUntraced(function*(text: string, size: number) {
  const look = Redaction.guard(all).text
  if (look === undefined) return yield* Effect.die("no guard")
  let [said, held] = ["", ""]
  for (let at = 0; at < text.length; at += size) {
    const passed = yield* look(held + text.slice(at, at + size), { ...about, ended: false })
    said += passed.out
    held = passed.held
  }
  return said + (yield* look(held, { ...about, ended: true })).out
})

/** Milliseconds of processor time. */
const spent = (before: NodeJS.CpuUsage) => process.cpuUsage(before).user / 1_000

const key = `sk-proj-${"aB3".repeat(12)}`
const jwt = `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.${"s".repeat(43)}`
const pem = (lines: number) =>
  `-----BEGIN RSA PRIVATE KEY-----\n${"MIIEow/+\n".repeat(lines)}-----END RSA PRIVATE KEY-----`

const expensive: ReadonlyArray<readonly [string, string]> = [
  ["digits", "1234567890"],
  ["digits in groups", "4111 1111 "],
  ["digits with hyphens", "123-45-67"],
  ["international prefixes", "+11111111111111111111111111111111"],
  ["brackets", "(123)(123)(("],
  ["letters", "a"],
  ["local parts", "a.b%c+d-e_"],
  ["domains", "a@b.c."],
  ["key prefixes", "sk-"],
  ["key prefixes inside words", "ask-sk-AKIAghp_"],
  ["token beginnings", "eyJ"],
  ["token parts", "eyJaaaaaaaaa."],
  ["issuer prefixes with dots", "SG.ya29."],
  ["first lines of keys", "-----BEGIN "],
  ["whole first lines of keys", "-----BEGIN PRIVATE KEY-----"],
  ["URLs", "http://a:b:c"],
  ["bearers", "bearer "],
  ["IBANs", "DE89AB12"],
  ["invisible characters", "\u200bs\u200dk"],
  ["fullwidth digits", "４１"]
]

describe("redaction at the edges", () => {
  it.effect("12,000 digits in single characters pass in less than a second of processor time", () =>
    Effect.gen(function*() {
      const text = "1234567890".repeat(1_200)
      const before = process.cpuUsage()
      assert.strictEqual(yield* streamed(text, 1), text)
      assert.isBelow(spent(before), 1_000)
    }))

  for (const [what, unit] of expensive) {
    it.effect(`a long run of ${what} is searched in time that grows with its length`, () =>
      Effect.gen(function*() {
        const text = unit.repeat(Math.ceil(20_000 / unit.length))
        const before = process.cpuUsage()
        Redaction.redactJson([text], all)
        assert.isBelow(spent(before), 1_000, "as one value")
        const streaming = process.cpuUsage()
        yield* streamed(text.slice(0, 5_000), 1)
        assert.isBelow(spent(streaming), 2_000, "as a stream")
      }))
  }

  it.effect("a secret that never ends is neither held nor searched again", () =>
    Effect.gen(function*() {
      const before = process.cpuUsage()
      assert.strictEqual(yield* streamed(`use sk-${"aB3x".repeat(15_000)} now`, 3), "use [redacted: api-key] now")
      assert.strictEqual(yield* streamed(`so:\n${pem(8_000)} and`, 3), "so:\n[redacted: private-key] and")
      assert.strictEqual(
        yield* streamed(`Authorization: Bearer ${"abcDEF12".repeat(5_000)}, and`, 3),
        "Authorization: Bearer [redacted: bearer], and"
      )
      assert.isBelow(spent(before), 3_000)
    }))

  const disguised: ReadonlyArray<readonly [string, string, string]> = [
    ["zero-width spaces in a key", [...key].join("\u200b"), "api-key"],
    ["a soft hyphen in a card", "4111 11\u00ad11 1111 1111", "card"],
    ["marks of direction in an address", "ann\u202e@exam\u2066ple.com", "email"],
    ["fullwidth digits in a card", "４１１１ １１１１ １１１１ １１１１", "card"],
    ["a letter before a card", "x4111111111111111", "card"],
    ["a word before a key", `my_key_${key}`, "api-key"],
    ["a word before a token", `token-${jwt}`, "jwt"],
    ["a word before an AWS key", "keyAKIAIOSFODNN7EXAMPLE", "aws-key"],
    ["a long word before an address", `${"x".repeat(90)}ann@example.com`, "email"],
    ["typographic hyphens in a number", "123‑45‑6789", "ssn"]
  ]
  for (const [what, text, name] of disguised) {
    it.effect(`${what} do not hide it, whole or in pieces`, () =>
      Effect.gen(function*() {
        for (
          const out of [
            Redaction.redact(`so ${text} on`, all),
            yield* streamed(`so ${text} on`, 1),
            yield* streamed(`so ${text} on`, 7)
          ]
        ) {
          assert.include(out, `[redacted: ${name}]`)
          assert.notInclude(out, text.slice(-8))
        }
      }))
  }

  it("a key that is split among the parts of a message or a list is found", () => {
    const [one, two] = [key.slice(0, 15), key.slice(15)]
    const split = [{ type: "text", text: `use ${one}` }, { type: "text", text: `${two} now` }]
    assert.deepStrictEqual(Redaction.redactJson(split, all), [
      { type: "text", text: "use [redacted: api-key]" },
      { type: "text", text: "[redacted: api-key] now" }
    ])
    assert.notInclude(JSON.stringify(Redaction.redactJson({ parts: ["a", one, two] }, all)), two.slice(4))
  })

  it("words that hyphens join, versions and ids stay", () => {
    for (
      const text of [
        "the task-force and risk-adjusted disk-something-or-other-quite-long",
        "v1.2.3.4 and 550e8400-e29b-41d4-a716-446655440000",
        "東京へ行く 12 回"
      ]
    ) assert.strictEqual(Redaction.redact(text, all), text)
  })
})
