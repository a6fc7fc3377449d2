// Stored tokens: other keys, other servers, and changed bytes open nothing.
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { makeSeal } from "../../../src/mcp/internal/seal.ts"

const key = Redacted.make("a key of thirty-two characters!!")

describe("the seal of stored tokens", () => {
  it("opens what it has sealed, which differs each time", () => {
    const seal = makeSeal(key, "https://one.example/mcp")
    const [first, second] = [seal.seal("a token"), seal.seal("a token")]
    assert.notDeepEqual(first, second)
    assert.deepStrictEqual([seal.open(first), seal.open(second)], ["a token", "a token"])
    assert.notInclude(Buffer.from(first).toString("latin1"), "token")
  })

  it("opens nothing of another key, for another server, or that was changed", () => {
    const sealed = makeSeal(key, "https://one.example/mcp").seal("a token")
    const changed = Buffer.from(sealed)
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
    assert.throws(() =>
      makeSeal(Redacted.make("another key of 32 characters!!!!"), "https://one.example/mcp").open(sealed)
    )
    assert.throws(() => makeSeal(key, "https://two.example/mcp").open(sealed))
    assert.throws(() => makeSeal(key, "https://one.example/mcp").open(changed))
    assert.throws(() => makeSeal(key, "https://one.example/mcp").open(new Uint8Array()))
  })

  it("takes no short key", () => {
    assert.throws(() => makeSeal(Redacted.make("hunter2"), "https://one.example/mcp"))
  })
})
