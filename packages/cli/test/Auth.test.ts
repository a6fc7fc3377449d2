import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { ApiKeys, Audit, Auth, Roles, Server, Sqlite } from "fastagentic"
import { Oidc } from "fastagentic/oidc"
import { generateKeyPairSync, sign } from "node:crypto"
import { createServer } from "node:http"
import { join } from "node:path"
import { Guarded, GuardedLayer } from "./fixture/guarded.ts"
import { command, fastagentic, fixture, listening, temporaryFolder } from "./process.ts"
import { memory, urlOf } from "./serving.ts"

const audience = "https://agents.test"

/** An issuer that publishes one key, and tokens signed with it. */
const startIssuer = Effect.gen(function*() {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  let issuer = ""
  const server = createServer(({ url }, response) => {
    const keys = [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "ES256", use: "sig" }]
    const known = url === "/jwks" ? { keys } : { issuer, jwks_uri: `${issuer}/jwks` }
    response.setHeader("content-type", "application/json").end(JSON.stringify(known))
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.sync(() => server.close().closeAllConnections())
  )
  const address = server.address()
  issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
  const token = (claims: object) => {
    const exp = Math.floor(Date.now() / 1_000) + 60
    const text = `${encode({ alg: "ES256", kid: "one", typ: "at+jwt" })}.${
      encode({ iss: issuer, aud: audience, exp, ...claims })
    }`
    const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" })
    return `${text}.${signature.toString("base64url")}`
  }
  return { issuer, token }
})

const post = (url: string, headers: Record<string, string>) =>
  Effect.promise(async () => {
    const response = await fetch(url, { method: "POST", headers, body: "{}" })
    return { status: response.status, challenge: response.headers.get("www-authenticate"), body: await response.json() }
  })

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe("a server with tokens, keys and roles", () => {
  it.live("callers with valid tokens, keys and roles are accepted over a socket", () =>
    Effect.gen(function*() {
      const { issuer, token } = yield* startIssuer
      const auth = Roles.layer({ desk: { includes: ["reader"] }, reader: { scopes: ["notes:*"] } }).pipe(
        Layer.provide(Auth.layerFirst(Oidc.layer({ issuer, audience, tenantClaim: "org" }), ApiKeys.layer)),
        Layer.provide(FetchHttpClient.layer)
      )
      const services = Layer.mergeAll(
        auth,
        memory
      ).pipe(Layer.provideMerge(ApiKeys.ApiKeyStore.layerMemory))
      const context = yield* Layer.build(
        Server.layer(Guarded, { port: 0, grace: "200 millis" }).pipe(
          Layer.provide(GuardedLayer),
          Layer.provideMerge(services)
        )
      )
      const url = `${urlOf(context)}/agents/notes`
      const metadata = `${urlOf(context)}/.well-known/oauth-protected-resource`
      const challenge = {
        none: `Bearer resource_metadata="${metadata}", ApiKey realm="agents"`,
        bad: "error=\"invalid_token\""
      }

      const nobody = yield* post(url, {})
      assert.deepInclude(nobody, { status: 401, challenge: challenge.none })
      const forged = yield* post(
        url,
        bearer(`${token({ sub: "ada", org: "acme", roles: ["desk"] }).slice(0, -8)}AAAAAAAA`)
      )
      assert.strictEqual(forged.status, 401)
      assert.include(forged.challenge ?? "", challenge.bad)
      assert.strictEqual((yield* post(url, bearer(token({ sub: "ada", roles: ["desk"] })))).status, 401)

      const ada = bearer(token({ sub: "ada", org: "acme", roles: ["desk"] }))
      assert.strictEqual((yield* post(url, ada)).status, 200)
      const refused = yield* post(url, bearer(token({ sub: "ben", org: "acme", scope: "notes" })))
      assert.strictEqual(refused.status, 403)
      assert.deepStrictEqual(refused.body.error, { _tag: "Forbidden", rule: "scopes", missing: ["notes:read"] })

      const { key, secret } = yield* Effect.provideContext(
        ApiKeys.create({ id: "ci", tenant: "acme", roles: ["reader"] }),
        context
      )
      const shown = { "x-api-key": Redacted.value(secret) }
      assert.strictEqual((yield* post(url, shown)).status, 200)
      yield* Effect.provideContext(ApiKeys.revoke(key.prefix), context)
      assert.deepInclude(yield* post(url, shown), { status: 401, challenge: challenge.none })
    }).pipe(Effect.scoped))
})

describe("fastagentic keys", () => {
  const ran = async (cwd: string, ...args: ReadonlyArray<string>) => {
    const { code, stderr, stdout } = await command(["keys", ...args, "--store", "keys.db"], { cwd })
    return { code, stdout: stdout.trim(), stderr }
  }

  it("created, rotated and revoked keys take effect on a server", async () => {
    const cwd = temporaryFolder()
    const made = await ran(
      cwd,
      "create",
      "ci",
      "--tenant",
      "acme",
      "--scope",
      "a:*",
      "--scope",
      "b",
      "--expires",
      "90 days"
    )
    assert.match(made.stdout, /^fak_[0-9a-f]{12}_[0-9a-f]{64}$/u)
    const prefix = made.stdout.split("_")[1] ?? ""

    const serve = ["run", fixture("app.ts"), "--mode", "http", "--port", "0", "--store", "keys.db", "--auth", "keys"]
    const server = fastagentic(serve, { cwd })
    try {
      const url = await listening(server)
      assert.strictEqual((await fetch(`${url}/agents`)).status, 401)
      assert.strictEqual((await fetch(`${url}/agents`, { headers: { "x-api-key": made.stdout } })).status, 200)
      const busy = await ran(cwd, "list")
      assert.deepStrictEqual(busy, {
        code: 2,
        stdout: "",
        stderr: "fastagentic: keys.db is in use: stop the server first\n"
      })
    } finally {
      server.child.kill("SIGTERM")
      await server.exited
    }

    const rotated = await ran(cwd, "rotate", prefix, "--overlap", "1 day")
    assert.match(rotated.stdout, /^fak_/u)
    await ran(cwd, "revoke", rotated.stdout.split("_")[1] ?? "")
    const list = await ran(cwd, "list")
    assert.notInclude(list.stdout, made.stdout)
    const [first = "", second = ""] = list.stdout.split("\n")
    assert.match(first, new RegExp(`^${prefix} rotated id=ci tenant=acme scopes=a:\\*,b roles=- .* used=20`, "u"))
    assert.match(second, /^[0-9a-f]{12} revoked id=ci tenant=acme scopes=a:\*,b roles=- .* used=never$/u)

    const trail = await Effect.runPromise(
      Audit.Audit.use((audit) => audit.page({ tenant: "acme", after: 0, limit: 100 })).pipe(
        Effect.provide(Sqlite.layer({ filename: join(cwd, "keys.db") }))
      )
    )
    const next = rotated.stdout.split("_")[1] ?? ""
    const about = trail.filter(({ target }) => target.startsWith("key/"))
    assert.deepStrictEqual(about.map(({ action, target }) => `${action} ${target}`), [
      `create key/${prefix}`,
      `create key/${next}`,
      `revoke key/${prefix}`,
      `revoke key/${next}`
    ])
    for (const entry of about) assert.deepInclude(entry, { principal: "cli", onBehalfOf: "ci", decision: "allowed" })
    assert.match(about[0]?.reason ?? "", /^scopes: a:\* b, roles: none, expires: 20/u)
    assert.notInclude(JSON.stringify(trail), made.stdout.split("_")[2] ?? "")
  })

  it("an impossible command is refused in one line", async () => {
    const cwd = temporaryFolder()
    await ran(cwd, "create", "ci")
    const unknown = await ran(cwd, "revoke", "none")
    assert.deepStrictEqual(unknown, { code: 2, stdout: "", stderr: "fastagentic: there is no API key none\n" })
    const odd = await ran(cwd, "create", "ci", "--expires", "soon")
    assert.strictEqual(odd.code, 2)
    assert.match(odd.stderr, /^fastagentic: --expires soon: [^\n]*\n$/u)
    const memory = await command(["run", fixture("app.ts"), "--mode", "http", "--store", "memory", "--auth", "keys"])
    assert.strictEqual(memory.code, 2)
    assert.match(memory.stderr, /^fastagentic: --auth keys needs a store that lasts[^\n]*\n$/u)
  })
})
