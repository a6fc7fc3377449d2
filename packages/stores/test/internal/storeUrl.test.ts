// The URLs of PostgreSQL and Redis: every option is understood, TLS is the default, and no problem shows a password.
import { assert, describe, it } from "@effect/vitest"
import { Redacted, Result } from "effect"
import { isLoopback } from "../../src/internal/storeUrl.ts"
import { settingsOf as postgres } from "../../src/postgres/internal/connection.ts"
import { settingsOf as redis } from "../../src/redis/internal/connection.ts"

const problem = (url: string, environment = {}) => {
  const read: Result.Result<unknown, string> = url.startsWith("redis")
    ? redis(url, undefined)
    : postgres(Redacted.make(url), {}, environment)
  return Result.isFailure(read) ? read.failure : undefined
}

const ssl = (url: string, environment = {}) => Result.getOrThrow(postgres(Redacted.make(url), {}, environment)).ssl

const verified = { rejectUnauthorized: true }

describe("The URL of a store", () => {
  it("is refused with an option that is not understood", () => {
    for (
      const url of [
        "postgres://a@db/acme?ssl=true",
        "postgres://a@db/acme?sslmod=require",
        "postgres://a@db/acme?sslmode=yes",
        "postgres://a@db/acme?sslmode=prefer",
        "postgres://a@db/acme?sslmode=allow",
        "postgres://a@db/acme?sslmode=disable&sslmode=require",
        "postgres://a@db/acme?sslrootcert=/none",
        "postgres://a@db/acme?schema=Acme%22",
        "redis://cache?tls=yes",
        "redis://cache?ssl=true",
        "redis://cache?tls=verify&tls=disable",
        "redis://cache?cacert=/none",
        "rediss://cache?tls=disable",
        "redis://cache/keys"
      ]
    ) assert.isString(problem(url), url)
    assert.isString(problem("postgres://a@db/acme", { PGSSLMODE: "preferred" }))
  })

  it("never shows its password in a problem", () => {
    for (
      const password of ["open@sesame", "open/sesame", "open?sesame", "12?sesame", "12#sesame", "12/sesame", "%sesame"]
    ) {
      for (const scheme of ["postgres", "postgress", "redis", "rediss", "http"]) {
        for (const rest of ["db/acme", "db:99999/acme", "db/acme?ssl=true"]) {
          const url = `${scheme}://acme:${password}@${rest}`
          const shown = `${problem(url)} ${problem(url.replace("://", ":/"))}`
          assert.notInclude(shown, "sesame", url)
        }
      }
    }
  })

  it("uses verified TLS by default, except on this machine", () => {
    for (const host of ["db.internal", "10.0.0.7", "[fd00::1]", "localhost.example.com", "127.example.com"]) {
      assert.deepStrictEqual(ssl(`postgres://a:b@${host}/acme`), verified, host)
      const { tls, url } = Result.getOrThrow(redis(`redis://:b@${host}:6379`, undefined))
      assert.deepStrictEqual(tls, verified, host)
      assert.isTrue(url.startsWith("rediss://"))
    }
    for (const host of ["localhost", "127.0.0.1", "127.3.2.1", "[::1]"]) {
      assert.strictEqual(ssl(`postgres://a:b@${host}/acme`), false, host)
      assert.isUndefined(Result.getOrThrow(redis(`redis://${host}:6379`, undefined)).tls, host)
    }
    assert.strictEqual(ssl("postgres:///acme?user=a&host=/var/run/postgresql"), false)
    assert.deepStrictEqual(ssl("postgres://a:b@localhost/acme?host=db.internal"), verified)
    assert.isTrue(isLoopback(""))
  })

  it("follows sslmode and PGSSLMODE", () => {
    for (const mode of ["require", "verify-ca", "verify-full"]) {
      assert.deepStrictEqual(ssl(`postgres://a@localhost/acme?sslmode=${mode}`), verified)
      assert.deepStrictEqual(ssl("postgres://a@localhost/acme", { PGSSLMODE: mode }), verified)
    }
    assert.strictEqual(ssl("postgres://a@db/acme?sslmode=disable"), false)
    assert.strictEqual(ssl("postgres://a@db/acme", { PGSSLMODE: "disable" }), false)
    assert.deepStrictEqual(ssl("postgres://a@db/acme?sslmode=require", { PGSSLMODE: "disable" }), verified)
  })

  it("keeps the options of libpq and takes its own out", () => {
    const url = "postgres://a:b@localhost/acme?schema=desk&application_name=x&connect_timeout=3"
    const settings = Result.getOrThrow(postgres(Redacted.make(url), {}, {}))
    const kept = new URL(Redacted.value(settings.url ?? Redacted.make("")))
    assert.deepStrictEqual([...kept.searchParams.keys()].sort(), ["application_name", "connect_timeout"])
    assert.deepStrictEqual(settings.startupParameters, { search_path: "desk" })
    assert.strictEqual(Result.getOrThrow(redis("redis://localhost/1?prefix=desk:", undefined)).prefix, "desk:")
  })
})
