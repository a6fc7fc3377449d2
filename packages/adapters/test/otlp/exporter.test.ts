import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpBody from "effect/http/HttpBody"
import { createServer, type ServerResponse } from "node:http"
import * as Exporter from "../../src/otlp/internal/exporter.ts"

const settings = {
  destination: "collector",
  signal: "TRACES",
  headers: {},
  json: true,
  gzip: false,
  timeoutMillis: 10_000,
  delayMillis: 60_000,
  batchSize: 4,
  queueSize: 16
} as const

/** A collector that answers when the test releases it. */
const collect = async () => {
  const batches: Array<string> = []
  const held: Array<ServerResponse> = []
  const server = createServer(async (request, response) => {
    let text = ""
    for await (const chunk of request) text += String(chunk)
    batches.push(text)
    held.push(response)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const until = async (count: number) => {
    while (batches.length < count) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const answer = () => held.shift()?.end()
  return { batches, until, answer, url: `http://127.0.0.1:${port}`, close: () => server.close() }
}

describe("exporter", () => {
  it("items that arrive during a post go into the next full batch, and a stop sends the rest", async () => {
    const collector = await collect()
    const scope = Scope.makeUnsafe()
    const exporter = await Exporter.make<number>({ ...settings, url: collector.url }, HttpBody.jsonUnsafe).pipe(
      Scope.provide(scope),
      Effect.provide(FetchHttpClient.layer),
      Effect.runPromise
    )
    const push = (...items: ReadonlyArray<number>) => items.forEach((item) => exporter.push(item))
    push(1, 2, 3, 4)
    await collector.until(1)
    push(5, 6)
    collector.answer()
    await new Promise((resolve) => setTimeout(resolve, 100))
    push(7, 8, 9)
    await collector.until(2)
    collector.answer()
    const closed = Effect.runPromise(Scope.close(scope, Exit.void))
    await collector.until(3)
    collector.answer()
    await closed
    assert.deepStrictEqual(collector.batches, ["[1,2,3,4]", "[5,6,7,8]", "[9]"])
    collector.close()
  })
})
