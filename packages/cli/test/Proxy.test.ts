import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { ApiKeys, Auth, Principal, Server } from "fastagentic"
import { ProxyIdentity } from "fastagentic/proxy"
import * as Certificates from "./fixture/certificates.ts"
import { Guarded, GuardedLayer } from "./fixture/guarded.ts"
import { memory, urlOf } from "./serving.ts"

const principal: ProxyIdentity.Options["principal"] = ({ uris: [uri, ...others] }) =>
  uri?.startsWith("spiffe://acme.dev/sa/") === true && others.length === 0
    ? new Principal.Principal({ id: uri, tenant: "acme", scopes: ["notes:read"], roles: [], claims: {} })
    : undefined

const serve = (options: Omit<ProxyIdentity.Options, "principal">) =>
  Effect.gen(function*() {
    const services = Layer.mergeAll(
      Auth.layerFirst(ProxyIdentity.layer({ ...options, principal }), ApiKeys.layer),
      memory
    ).pipe(Layer.provideMerge(ApiKeys.ApiKeyStore.layerMemory))
    const context = yield* Layer.build(
      Layer.fresh(
        Server.layer(Guarded, { port: 0, grace: "200 millis" }).pipe(
          Layer.provide(GuardedLayer),
          Layer.provideMerge(services)
        )
      )
    )
    const { secret } = yield* Effect.provideContext(
      ApiKeys.create({ id: "ci", tenant: "acme", scopes: ["*"] }),
      context
    )
    return { url: urlOf(context), key: Redacted.value(secret) }
  })

const post = (url: string, headers: HeadersInit, body = "{}") =>
  Effect.promise(async () => {
    const response = await fetch(url, { method: "POST", headers, body })
    return { status: response.status, challenge: response.headers.get("www-authenticate"), text: await response.text() }
  })

const agent = "/agents/notes"
const clientCert = (der: Buffer) => ({ "client-cert": `:${der.toString("base64")}:` })
const xfcc = (value: string) => ({ "x-forwarded-client-cert": value })

describe("a client certificate that a proxy forwards", () => {
  it.live("a certificate is accepted from proxy addresses, on every protocol", () =>
    Effect.gen(function*() {
      const { url } = yield* serve({ addresses: ["127.0.0.0/8", "fd00::/8"] })
      const shown = clientCert(Certificates.ci)
      assert.strictEqual((yield* post(url + agent, shown)).status, 200)
      const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "notes", arguments: {} } }
      const json = { "content-type": "application/json", accept: "application/json, text/event-stream" }
      const mcp = yield* post(`${url}/mcp`, { ...json, ...shown }, JSON.stringify(call))
      assert.include(mcp.text, "a note")
      const params = { message: { messageId: "m", role: "ROLE_USER", parts: [{ text: "{}" }] } }
      const send = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "SendMessage", params })
      const a2a = yield* post(`${url}/a2a`, { ...json, "a2a-version": "1.0", ...shown }, send)
      assert.strictEqual(a2a.status, 200)
      assert.notInclude(a2a.text, "UNAUTHENTICATED")
      assert.strictEqual((yield* post(`${url}/mcp`, json, JSON.stringify(call))).status, 401)
    }).pipe(Effect.scoped))

  it.live("a page of another site cannot use a certificate", () =>
    Effect.gen(function*() {
      const { key, url } = yield* serve({ addresses: ["127.0.0.1"] })
      const forged = { origin: "https://evil.example", "content-type": "text/plain", ...clientCert(Certificates.ci) }
      const refused = yield* post(url + agent, forged)
      assert.strictEqual(refused.status, 403)
      assert.include(refused.text, "\"rule\":\"origin\"")
      assert.strictEqual((yield* post(`${url}/runs/x/cancel`, forged)).status, 403)
      assert.strictEqual((yield* post(`${url}/a2a`, forged)).status, 403)
      assert.strictEqual((yield* post(`${url}/mcp`, forged)).status, 403)
      assert.strictEqual((yield* post(url + agent, { ...forged, origin: url })).status, 200)
      // A page needs its origin in the list, also with its own key.
      assert.strictEqual((yield* post(url + agent, { ...forged, "x-api-key": key })).status, 403)
    }).pipe(Effect.scoped))

  it.live("a certificate header from another peer is ignored", () =>
    Effect.gen(function*() {
      const { key, url } = yield* serve({ addresses: ["10.0.0.0/24", "2001:db8::1"] })
      const forwarded = { "x-forwarded-for": "10.0.0.7", forwarded: "for=10.0.0.7", ...clientCert(Certificates.ci) }
      const refused = yield* post(url + agent, forwarded)
      assert.strictEqual(refused.status, 401)
      assert.include(refused.challenge ?? "", "ClientCertificate")
      // A caller with other credentials is identified by those.
      assert.strictEqual((yield* post(url + agent, { ...forwarded, "x-api-key": key })).status, 200)
    }).pipe(Effect.scoped))

  it.live("a certificate needs the proxy's secret when one is configured", () =>
    Effect.gen(function*() {
      const secret = "a long secret of the proxy"
      const { url } = yield* serve({ addresses: ["127.0.0.1"], secret: Redacted.make(secret) })
      const shown = clientCert(Certificates.ci)
      assert.strictEqual((yield* post(url + agent, { ...shown, "x-proxy-secret": secret })).status, 200)
      assert.strictEqual((yield* post(url + agent, { ...shown, "x-proxy-secret": `${secret}.` })).status, 401)
      assert.strictEqual((yield* post(url + agent, shown)).status, 401)
    }).pipe(Effect.scoped))

  it.live("an expired, damaged, duplicate or unmapped certificate is refused", () =>
    Effect.gen(function*() {
      const { url } = yield* serve({ addresses: ["127.0.0.1"] })
      const ci = clientCert(Certificates.ci)
      const forged: ReadonlyArray<HeadersInit> = [
        clientCert(Certificates.expired),
        clientCert(Certificates.doubled),
        clientCert(Certificates.ci.subarray(0, 200)),
        { "client-cert": Certificates.ci.toString("base64") },
        { "client-cert": ":c3BpZmZlOi8vYWNtZS5kZXYvc2EvY2k=:" },
        [["client-cert", ci["client-cert"]], ["client-cert", ci["client-cert"]]],
        xfcc("URI=spiffe://acme.dev/sa/ci")
      ]
      for (const headers of forged) {
        const refused = yield* post(url + agent, headers)
        assert.strictEqual(refused.status, 401)
        assert.notInclude(refused.text, "acme.dev")
      }
    }).pipe(Effect.scoped))

  it.live("Envoy's header format is parsed", () =>
    Effect.gen(function*() {
      const { url } = yield* serve({ addresses: ["127.0.0.1"], header: "x-forwarded-client-cert" })
      const status = (value: string) => Effect.map(post(url + agent, xfcc(value)), ({ status }) => status)
      const own = "By=spiffe://acme.dev/lb;Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688"
      const subject = "Subject=\"/C=US/O=Acme, \\\"quoted\\\"; CN=ci\""
      const uri = "URI=spiffe://acme.dev/sa/ci"
      assert.strictEqual(yield* status(`${own};${subject};${uri};DNS=ci.acme.dev`), 200)
      assert.strictEqual(
        yield* status(`${own};Cert="${encodeURIComponent(Certificates.pem(Certificates.ci))}"`),
        200
      )
      for (
        const forged of [
          `${own};${subject}`,
          `${own};Subject="${uri}"`,
          `${own};${uri};URI=spiffe://acme.dev/sa/other`,
          `${uri},${own};URI=spiffe://acme.dev/x`,
          `${own};Cert="${encodeURIComponent(Certificates.pem(Certificates.expired))}";${uri}`,
          `${own};Subject="open;${uri}`,
          ""
        ]
      ) assert.strictEqual(yield* status(forged), 401, forged)
      assert.strictEqual((yield* post(url + agent, clientCert(Certificates.ci))).status, 401)
    }).pipe(Effect.scoped))

  it.effect("options that identify no proxy are refused", () =>
    Effect.gen(function*() {
      const problem = (options: Omit<ProxyIdentity.Options, "principal">) =>
        Effect.map(
          Effect.flip(Effect.scoped(Layer.build(ProxyIdentity.layer({ ...options, principal })))),
          ({ message }) => message
        )
      assert.include(yield* problem({}), "by addresses, by a secret")
      assert.include(yield* problem({ addresses: ["10.0.0.0/33"] }), "10.0.0.0/33")
      assert.include(yield* problem({ addresses: ["proxy.internal"] }), "proxy.internal")
      assert.include(yield* problem({ secret: Redacted.make("short") }), "16 characters")
    }))
})
