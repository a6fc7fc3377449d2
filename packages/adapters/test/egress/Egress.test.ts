import { assert, describe, it } from "@effect/vitest"
import { HostLookup } from "@fastagentic/core/base/HostLookup"
import { Context, Effect, Layer } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { Egress } from "../../src/egress/index.ts"

/** A server on a loopback address, and every request that it has received. */
const serve = (answer: (request: IncomingMessage, response: ServerResponse, port: number) => void) =>
  Effect.gen(function*() {
    const seen: Array<IncomingMessage> = []
    const server = createServer((request, response) => {
      seen.push(request)
      answer(request, response, port)
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () => Effect.sync(() => server.close().closeAllConnections())
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return { port, seen }
  })

const connect = (options: Egress.Options) =>
  Effect.map(
    Layer.build(Layer.fresh(Egress.layer(options))),
    (context) => Context.get(context, HttpClient.HttpClient)
  )

/** Names that resolve to the entries of a list, one for each lookup; the last one repeats. */
const resolver = (names: Record<string, ReadonlyArray<ReadonlyArray<string>>>) => {
  const asked: Array<string> = []
  const resolve = (hostname: string) => {
    const answers = names[hostname] ?? []
    const turn = asked.filter((name) => name === hostname).length
    asked.push(hostname)
    const addresses = answers[Math.min(turn, answers.length - 1)] ?? []
    return Promise.resolve(addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })))
  }
  return { asked, resolve }
}

const ruleOf = (error: unknown): string | undefined => {
  if (error instanceof Egress.EgressRefused) return error.rule
  if (typeof error !== "object" || error === null) return undefined
  return ruleOf("reason" in error ? error.reason : "cause" in error ? error.cause : undefined)
}

/** The body, or the rule that refused the request. */
const fetched = (client: HttpClient.HttpClient, request: HttpClientRequest.HttpClientRequest) =>
  client.execute(request).pipe(
    Effect.flatMap((response) => response.text),
    Effect.catch((error) => Effect.succeed(ruleOf(error) ?? error.message))
  )

const get = (client: HttpClient.HttpClient, url: string) => fetched(client, HttpClientRequest.get(url))

const loopback = { allow: ["127.0.0.1"] }

describe("Egress", () => {
  it.live("no local address is reached, in any notation", () =>
    Effect.gen(function*() {
      const { port, seen } = yield* serve((_, response) => response.end("secret"))
      const client = yield* connect({})
      const hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "１２７.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::1]",
        "[2001:0:7f00:1::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]"
      ]
      for (const host of hosts) {
        assert.strictEqual(yield* get(client, `http://${host}:${port}/`), "address", host)
      }
      for (const url of ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/"]) {
        assert.strictEqual(yield* get(client, url), "scheme", url)
      }
      assert.strictEqual(seen.length, 0)
    }).pipe(Effect.scoped))

  it.live("a connection goes to the checked address, and the next one is checked again", () =>
    Effect.gen(function*() {
      const { port, seen } = yield* serve((_, response) => response.setHeader("connection", "close").end("fine"))
      const { asked, resolve } = resolver({
        "rebinding.test": [["127.0.0.1"], ["127.0.0.2"]],
        "mixed.test": [["127.0.0.1", "10.0.0.1"]],
        "mapped.test": [["::ffff:127.0.0.1"]],
        "metadata.test": [["169.254.169.254"]]
      })
      const client = yield* connect({ ...loopback, resolve })
      assert.strictEqual(yield* get(client, `http://rebinding.test:${port}/`), "fine")
      assert.deepStrictEqual(asked, ["rebinding.test"])
      for (const name of ["rebinding", "mixed", "mapped", "metadata", "unknown"]) {
        assert.strictEqual(yield* get(client, `http://${name}.test:${port}/`), "address", name)
      }
      assert.deepStrictEqual(seen.map(({ headers }) => headers.host), [`rebinding.test:${port}`])
    }).pipe(Effect.scoped))

  it.live("every hop of a redirect passes the same rules", () =>
    Effect.gen(function*() {
      const { port, seen } = yield* serve(({ url = "" }, response, port) => {
        const [, status = "", target = ""] = /^\/(\d+)\/(.*)$/u.exec(url) ?? []
        const location = decodeURIComponent(target).replaceAll("PORT", `${port}`)
        if (status === "") response.end("fine")
        else response.writeHead(Number(status), { location }).end("moved")
      })
      const { resolve } = resolver({ "a.test": [["127.0.0.1"]], "inside.test": [["10.0.0.1"]] })
      const client = yield* connect({ ...loopback, resolve, maxRedirects: 3 })
      const leads = (status: number, to: string) =>
        get(client, `http://a.test:${port}/${status}/${encodeURIComponent(to)}`)
      assert.strictEqual(yield* leads(302, "/"), "fine")
      for (const to of ["http://127.0.0.2:PORT/", "http://inside.test/", "http://0x7f.2/", "//[::1]:PORT/"]) {
        assert.strictEqual(yield* leads(302, to), "address", to)
      }
      assert.strictEqual(yield* leads(302, "file:///etc/passwd"), "scheme")
      assert.strictEqual(yield* leads(302, "http://["), "redirect")
      const before = seen.length
      assert.strictEqual(yield* get(client, `http://a.test:${port}/302/`), "redirect")
      assert.strictEqual(seen.length - before, 4)
    }).pipe(Effect.scoped))

  it.live("another origin receives neither credentials nor a body", () =>
    Effect.gen(function*() {
      const { port, seen } = yield* serve(({ url = "" }, response, port) => {
        const status = Number(/^\/(\d+)/u.exec(url)?.[1] ?? 200)
        const location = `http://${url.endsWith("/same") ? "a" : "b"}.test:${port}/`
        response.writeHead(status, status === 200 ? {} : { location }).end("fine")
      })
      const { resolve } = resolver({ "a.test": [["127.0.0.1"]], "b.test": [["127.0.0.1"]] })
      const client = yield* connect({ ...loopback, resolve })
      const credentials = { authorization: "Bearer t", cookie: "c=1", "x-api-key": "k", accept: "text/plain" }
      const request = (path: string) =>
        HttpClientRequest.get(`http://a.test:${port}${path}`).pipe(HttpClientRequest.setHeaders(credentials))
      yield* fetched(client, request("/302"))
      const [first, second] = seen
      assert.containSubset(first?.headers, credentials)
      for (const name of ["authorization", "cookie", "x-api-key", "traceparent"]) {
        assert.notProperty(second?.headers, name)
      }
      assert.propertyVal(second?.headers, "accept", "text/plain")
      yield* fetched(client, request("/302/same"))
      assert.containSubset(seen[3]?.headers, credentials)

      const post = (path: string) =>
        HttpClientRequest.post(`http://a.test:${port}${path}`).pipe(HttpClientRequest.bodyText("a secret"))
      assert.strictEqual(yield* fetched(client, post("/307")), "redirect")
      assert.strictEqual(yield* fetched(client, post("/307/same")), "fine")
      assert.deepInclude(seen.at(-1), { method: "POST" })
      assert.strictEqual(yield* fetched(client, post("/303")), "fine")
      assert.deepInclude(seen.at(-1), { method: "GET" })
      assert.notProperty(seen.at(-1)?.headers, "content-length")
    }).pipe(Effect.scoped))

  it.live("size and time limits end a response", () =>
    Effect.gen(function*() {
      const gone: Array<string> = []
      const { port } = yield* serve(({ url = "" }, response) => {
        response.on("close", () => gone.push(url))
        if (url === "/silent") return
        if (url === "/fits") return void response.end("x".repeat(1_000))
        const pour = setInterval(() => response.write("x".repeat(url === "/big" ? 100 : 1)), url === "/big" ? 1 : 20)
        response.on("close", () => clearInterval(pour))
      })
      const client = yield* connect({ ...loopback, maxResponseSize: 1_000, timeout: "300 millis" })
      assert.strictEqual(yield* get(client, `http://127.0.0.1:${port}/fits`), "x".repeat(1_000))
      assert.notInclude(yield* get(client, `http://127.0.0.1:${port}/big`), "xxx")
      assert.strictEqual(yield* get(client, `http://127.0.0.1:${port}/drip`), "time")
      assert.strictEqual(yield* get(client, `http://127.0.0.1:${port}/silent`), "time")
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => gone.length === 4 })
    }).pipe(Effect.scoped))

  it.effect("an unreadable network in the options is named", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(connect({ allow: ["10.0.0.0/8", "cache.internal"] })))
      assert.include(error.message, "cache.internal")
    }))

  it.effect("gives the addresses of a host to other protocols by the same rules, each time anew", () =>
    Effect.gen(function*() {
      const { resolve } = resolver({
        "public.test": [["93.184.215.14", "2606:2800:21f::1"]],
        "inner.test": [["10.0.0.7"]],
        "mixed.test": [["93.184.215.14", "127.0.0.1"]],
        "rebound.test": [["93.184.215.14"], ["169.254.169.254"]],
        "mapped.test": [["::ffff:127.0.0.1"]],
        "127.0.0.1": [["127.0.0.1"]]
      })
      const lookup = yield* Layer.build(Layer.fresh(Egress.layer({ resolve }))).pipe(
        Effect.map(Context.get(HostLookup)),
        Effect.map((lookup) => lookup ?? (() => Effect.succeed(["none"])))
      )
      const found = (name: string) => Effect.orElseSucceed(lookup(name), () => "refused")
      assert.deepStrictEqual(yield* found("public.test"), ["93.184.215.14", "2606:2800:21f::1"])
      assert.deepStrictEqual(yield* found("rebound.test"), ["93.184.215.14"])
      for (const name of ["inner.test", "mixed.test", "rebound.test", "mapped.test", "127.0.0.1"]) {
        assert.strictEqual(yield* found(name), "refused", name)
      }
      assert.deepStrictEqual(yield* found("unknown.test"), [])
    }).pipe(Effect.scoped))
})
