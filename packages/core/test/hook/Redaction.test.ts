import { assert, describe, it } from "@effect/vitest"
import { Redaction } from "@fastagentic/core"
import { Effect } from "effect"

const key = `sk-proj-${"aB3".repeat(12)}`
const jwt = `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.${"s".repeat(43)}`
const pem = `-----BEGIN RSA PRIVATE KEY-----\n${"MIIEow/+\n".repeat(40)}-----END RSA PRIVATE KEY-----`

/** Says a text in pieces of a size, through a guard. */
const streamed = Effect.fnUntraced(function*(text: string, size: number, options: Redaction.Options = {}) {
  const look = Redaction.guard(options).text
  if (look === undefined) return yield* Effect.die("no guard")
  const about = {
    runId: "",
    kind: "agent",
    agent: "",
    type: "token",
    principal: { id: "", tenant: "", scopes: [], roles: [], claims: {} }
  } as const
  const said: Array<string> = []
  let held = ""
  for (let at = 0; at < text.length; at += size) {
    const passed = yield* look(held + text.slice(at, at + size), { ...about, ended: false })
    said.push(passed.out)
    held = passed.held
  }
  said.push((yield* look(held, { ...about, ended: true })).out)
  return said
})

const secrets: ReadonlyArray<readonly [string, string, string]> = [
  ["api-key", key, `use ${key}, please`],
  ["api-key", `ghp_${"a1".repeat(18)}`, `(ghp_${"a1".repeat(18)})`],
  ["api-key", `sk_live_${"0aZ".repeat(8)}`, `key="sk_live_${"0aZ".repeat(8)}"`],
  ["aws-key", "AKIAIOSFODNN7EXAMPLE", "id AKIAIOSFODNN7EXAMPLE."],
  ["jwt", jwt, `a token: ${jwt} and more`],
  ["private-key", pem, `the key\n${pem}\nis yours`],
  ["url-password", "hunter2", "postgres://app:hunter2@db.internal:5432/app and on"],
  ["bearer", "abcDEF123456789012345678", "authorization: Bearer abcDEF123456789012345678 ok"]
]

const personal: ReadonlyArray<readonly [string, string, string]> = [
  ["email", "ann.lee+x@mail.example.co.uk", "write to ann.lee+x@mail.example.co.uk today"],
  ["card", "4111 1111 1111 1111", "card 4111 1111 1111 1111 until 12/29"],
  ["card", "5555-5555-5555-4444", "card 5555-5555-5555-4444."],
  ["iban", "DE89 3704 0044 0532 0130 00", "to DE89 3704 0044 0532 0130 00 NOW"],
  ["iban", "ES9121000418450200051332", "to ES9121000418450200051332"],
  ["phone", "+49 170 1234567", "call +49 170 1234567 soon"],
  ["phone", "(415) 555-2671", "call (415) 555-2671"],
  ["ssn", "123-45-6789", "ssn 123-45-6789"],
  ["ip", "192.168.10.4", "from 192.168.10.4."]
]

describe("Redaction", () => {
  for (const [name, secret, text] of secrets) {
    it.effect(`takes ${name} out, however the text is split: ${text.slice(0, 24)}`, () =>
      Effect.gen(function*() {
        const wanted = text.replace(secret, `[redacted: ${name}]`)
        assert.strictEqual(Redaction.redact(text), wanted)
        for (const size of [1, 2, 3, 7, 16, 64, 10_000]) {
          assert.strictEqual((yield* streamed(text, size)).join(""), wanted, `pieces of ${size}`)
        }
      }))
  }

  for (const [name, datum, text] of personal) {
    it.effect(`takes ${name} out only when asked to: ${text.slice(0, 24)}`, () =>
      Effect.gen(function*() {
        const wanted = text.replace(datum, `[redacted: ${name}]`)
        assert.strictEqual(Redaction.redact(text), text)
        assert.strictEqual(Redaction.redact(text, { pii: true }), wanted)
        for (const size of [1, 2, 3, 7, 16, 64]) {
          assert.strictEqual((yield* streamed(text, size, { pii: true })).join(""), wanted, `pieces of ${size}`)
        }
      }))
  }

  it.effect("leaves alone what only looks like it", () =>
    Effect.gen(function*() {
      for (
        const text of [
          "card 4111 1111 1111 1112 is no card",
          "DE89 3704 0044 0532 0130 01 is no IBAN",
          "order 1042 of 12 items at 3.50, id 550e8400-e29b-41d4-a716-446655440000",
          "the task-force and risk-adjusted disk-something-or-other-quite-long",
          "https://example.com:8080/a@b and eyJ and sk-short",
          "version 1.2.3 of 2026-11-22"
        ]
      ) {
        assert.strictEqual(Redaction.redact(text, { pii: true }), text)
        assert.strictEqual((yield* streamed(text, 3, { pii: true })).join(""), text)
      }
    }))

  it.effect("holds no more than the word that is being said", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* streamed("two words", 4), ["two ", "", "", "words"])
      // A language without spaces does not wait at all.
      assert.deepStrictEqual((yield* streamed("你好世界你好", 2)).slice(0, 3), ["你好", "世界", "你好"])
      const endless = yield* streamed("x".repeat(100_000), 1_000)
      assert.strictEqual(endless.join("").length, 100_000)
      assert.isBelow(endless.at(-1)?.length ?? 0, 10_000)
    }))

  it.effect("redacts a private key that has no end", () =>
    Effect.gen(function*() {
      const cut = `so: ${pem.slice(0, 200)}`
      assert.strictEqual((yield* streamed(cut, 5)).join(""), "so: [redacted: private-key]")
      const endless = `so: ${pem.replace("MIIE", "MIIE\n".repeat(20_000))} and on`
      assert.strictEqual((yield* streamed(endless, 500)).join(""), "so: [redacted: private-key] and on")
    }))

  it("goes into JSON, and gives back the same value when there is nothing to do", () => {
    const clean = { a: ["b", 1, null, { c: true }] }
    assert.strictEqual(Redaction.redactJson(clean), clean)
    assert.deepStrictEqual(Redaction.redactJson({ a: ["b", { [key]: `is ${key}` }] }), {
      a: ["b", { "[redacted: api-key]": "is [redacted: api-key]" }]
    })
  })

  it("takes patterns of one's own, and less than all", () => {
    const options = { patterns: { ticket: /TICKET-\d+/u }, secrets: ["jwt"] } as const
    assert.strictEqual(
      Redaction.redact(`TICKET-12 ${key} ${jwt}`, options),
      `[redacted: ticket] ${key} [redacted: jwt]`
    )
  })
})
