// Tests of the addresses that a remote server wants to be opened, which decide who is shown what.
import { assert, describe, it } from "@effect/vitest"
import { shownUrl } from "../../../src/mcp/internal/pages.ts"

describe("An address that a server wants to be opened", () => {
  it("is shown when it is of the public network and https, with the ASCII form of its host", () => {
    assert.strictEqual(shownUrl("https://example.com/a?b=c"), "https://example.com/a?b=c")
    assert.strictEqual(shownUrl("https://аpple.com/"), "https://xn--pple-43d.com/")
    assert.strictEqual(shownUrl("https://93.184.215.14/"), "https://93.184.215.14/")
  })

  it("is shown to nobody when it is local, private, without https, with credentials, or too long", () => {
    const refused = [
      "http://example.com/",
      "https://localhost/",
      "https://localhost./",
      "https://a.localhost/",
      "https://127.0.0.1/",
      "https://2130706433/",
      "https://[::1]/",
      "https://10.0.0.1/",
      "https://169.254.169.254/",
      "https://ann:secret@example.com/",
      "javascript:alert(1)",
      "data:text/html,a",
      "file:///etc/passwd",
      "example.com",
      `https://example.com/${"a".repeat(2_048)}`,
      `https://example.com/${"ü".repeat(1_000)}`
    ]
    assert.deepStrictEqual(refused.filter((url) => shownUrl(url) !== undefined), [])
  })

  it("is shown when the rules of egress allow its private address", () => {
    assert.strictEqual(shownUrl("http://127.0.0.1:3000/", ["127.0.0.1"]), "http://127.0.0.1:3000/")
    assert.isUndefined(shownUrl("http://127.0.0.2:3000/", ["127.0.0.1"]))
    assert.isUndefined(shownUrl("http://93.184.215.14/", ["127.0.0.1"]))
  })
})
