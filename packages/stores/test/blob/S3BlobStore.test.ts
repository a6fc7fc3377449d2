import { assert, describe, it } from "@effect/vitest"
import { BlobStore } from "@fastagentic/core/store/BlobStore"
import { suite } from "@fastagentic/core/testing/contract/BlobStoreContract"
import { Effect, Layer, Redacted } from "effect"
import { once } from "node:events"
import { createServer, type RequestListener } from "node:http"
import { S3BlobStore } from "../../src/blob/index.ts"
import { describeWithServer, options } from "./server.ts"

const bytes = new TextEncoder().encode("content")

const withStore = <A, E>(options: S3BlobStore.Options, use: (store: BlobStore["Service"]) => Effect.Effect<A, E>) =>
  BlobStore.use(use).pipe(Effect.provide(S3BlobStore.layer(options), { local: true }))

const everythingIn = (error: unknown) => `${String(error)} ${JSON.stringify(error)} ${String(Object(error).cause)}`

describeWithServer("S3BlobStore", () => {
  suite("keeps the contract", Layer.unwrap(Effect.map(options, S3BlobStore.layer)))

  suite(
    "keeps the contract under a prefix",
    Layer.unwrap(Effect.map(options, (options) => S3BlobStore.layer({ ...options, prefix: "a b/c+d/ż(1)/" })))
  )

  it.live("is refused with a wrong key, and the error does not contain it", () =>
    Effect.gen(function*() {
      const wrong = { ...(yield* options), secretAccessKey: Redacted.make("wrong-s3cret") }
      const error = yield* Effect.flip(withStore(wrong, (store) => store.put(bytes)))
      assert.strictEqual(error._tag, "StoreUnavailable")
      assert.include(everythingIn(error), "403 SignatureDoesNotMatch")
      assert.notMatch(everythingIn(error), /wrong-s3cret|test-access/)
      const stranger = { ...wrong, accessKeyId: "stranger" }
      assert.include(everythingIn(yield* Effect.flip(withStore(stranger, (store) => store.get("0".repeat(64))))), "403")
    }))

  it.live("a missing bucket is an error, not a missing blob", () =>
    Effect.gen(function*() {
      const nowhere = { ...(yield* options), bucket: "nowhere" }
      const error = yield* Effect.flip(withStore(nowhere, (store) => store.get("0".repeat(64))))
      assert.containSubset(error, { _tag: "StoreUnavailable" })
    }))
})

/** A server that records its requests. */
const serving = (listener: RequestListener) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer(listener).listen(0, "127.0.0.1")
        await once(server, "listening")
        return server
      }),
      (server) => Effect.sync(() => server.close().closeAllConnections())
    ),
    (server): S3BlobStore.Options => ({
      endpoint: `http://127.0.0.1:${Object(server.address()).port}/`,
      bucket: "blobs",
      region: "eu-central-1",
      accessKeyId: "test-access",
      secretAccessKey: Redacted.make("test-s3cret")
    })
  )

describe("S3BlobStore with a failing server", () => {
  it.live("retries after 5xx, 429, a lost connection and a timeout", () =>
    Effect.gen(function*() {
      const requests: Array<string> = []
      const options = yield* serving((request, response) => {
        requests.push(`${request.method} ${request.headers["if-none-match"] ?? "unconditionally"}`)
        request.resume()
        const attempt = requests.length
        if (attempt === 1) response.writeHead(503).end("<Error><Code>SlowDown</Code></Error>")
        else if (attempt === 2) request.socket.destroy()
        else if (attempt === 3) response.writeHead(429).end()
        else if (attempt === 5) response.writeHead(200).end()
      })
      yield* withStore({ ...options, timeout: "300 millis" }, (store) => store.put(bytes))
      assert.deepStrictEqual(requests, Array.from({ length: 5 }, () => "PUT unconditionally"))
    }))

  it.live("fails after five attempts, and at once when it is refused", () =>
    Effect.gen(function*() {
      let requests = 0
      const options = yield* serving((request, response) => {
        requests++
        request.resume()
        const code = request.method === "PUT" ? "InternalError" : "AccessDenied"
        response.writeHead(request.method === "PUT" ? 500 : 403).end(`<Error><Code>${code}</Code></Error>`)
      })
      const put = yield* Effect.flip(withStore(options, (store) => store.put(bytes)))
      assert.include(everythingIn(put), "500 InternalError")
      assert.strictEqual(requests, 5)
      const get = yield* Effect.flip(withStore(options, (store) => store.get("0".repeat(64))))
      assert.include(everythingIn(get), "403 AccessDenied")
      assert.strictEqual(requests, 6)
    }))

  it.live("lists blobs over pages that contain none", () =>
    Effect.gen(function*() {
      const [first, second] = ["a".repeat(64), "b".repeat(64)]
      const object = (key: string) =>
        `<Contents><Key>${key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>7</Size></Contents>`
      const asked: Array<string | null> = []
      const options = yield* serving((request, response) => {
        const query = new URL(request.url ?? "", "http://s3").searchParams
        asked.push(query.get("start-after") ?? query.get("continuation-token"))
        const pages = [
          `${object("a&amp;b/notes.txt")}<NextContinuationToken>x&#43;y=</NextContinuationToken>`,
          `${object(`a&amp;b/${first}`)}${object(`a&amp;b/c/${first}`)}${object(`elsewhere/${first}`)}${
            object(`a&#x26;b/${second}`)
          }<NextContinuationToken>z</NextContinuationToken>`
        ]
        response.writeHead(200).end(`<ListBucketResult>${pages[asked.length - 1]}</ListBucketResult>`)
      })
      const found = yield* withStore({ ...options, prefix: "a&b/" }, (store) => store.list(""))
      const at = Date.UTC(2026, 0, 2, 3, 4, 5)
      assert.deepStrictEqual(found, [{ key: first, bytes: 7, at }, { key: second, bytes: 7, at }])
      assert.deepStrictEqual(asked, ["a&b/", "x+y="])
    }))

  it.live("changed bytes are BlobDamaged", () =>
    Effect.gen(function*() {
      const options = yield* serving((_, response) => response.writeHead(200).end("something else"))
      const error = yield* Effect.flip(withStore(options, (store) => store.get("0".repeat(64))))
      assert.strictEqual(error._tag, "BlobDamaged")
    }))
})
