import { assert, describe, it } from "@effect/vitest"
import { isBuiltin } from "node:module"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { rolldown } from "rolldown"

const here = fileURLToPath(new URL("./", import.meta.url))

/** Bundles a module as a page would, without a module of Node. */
const bundle = async (code: string) => {
  const builtins: Array<string> = []
  const build = await rolldown({
    input: "page.ts",
    cwd: here,
    platform: "browser",
    logLevel: "silent",
    plugins: [{
      name: "page",
      resolveId: (id) => {
        if (id === "page.ts") return `${here}page.ts`
        if (!isBuiltin(id)) return null
        builtins.push(id)
        return { id, external: true }
      },
      load: (id) => id === `${here}page.ts` ? code : null
    }]
  })
  const { output } = await build.generate({ format: "esm", minify: true })
  await build.close()
  const text = output.map((file) => file.type === "chunk" ? file.code : "").join("")
  return { builtins, text, gzipped: gzipSync(text).byteLength }
}

/** A page that does with Effect alone what the client does: requests, schemas, errors, server-sent events. */
const floor = `
  import { Effect, Redacted, Schedule, Schema, Stream } from "effect"
  import * as Sse from "effect/encoding/Sse"
  import * as FetchHttpClient from "effect/http/FetchHttpClient"
  import * as HttpClient from "effect/http/HttpClient"
  import * as HttpClientRequest from "effect/http/HttpClientRequest"
  class Failed extends Schema.TaggedError()("Failed", { status: Schema.Int, detail: Schema.optionalKey(Schema.String) }) {}
  const Event = Schema.Union([
    Schema.Struct({ type: Schema.Literal("token"), data: Schema.Struct({ delta: Schema.String }) }),
    Schema.Struct({ type: Schema.Literal("done"), data: Schema.Json })
  ])
  const ask = (url, token, body) => Effect.gen(function*() {
    const http = yield* HttpClient.HttpClient
    const request = HttpClientRequest.post(url, { headers: { authorization: Redacted.value(token) } })
    const response = yield* http.execute(HttpClientRequest.bodyJsonUnsafe(request, body))
    if (response.status !== 200) return yield* new Failed({ status: response.status })
    return response.stream.pipe(
      Stream.decodeText(),
      Stream.pipeThroughChannel(Sse.decode()),
      Stream.mapEffect(({ data }) => Schema.decodeUnknownEffect(Schema.fromJsonString(Event))(data))
    )
  }).pipe(Effect.retry(Schedule.exponential("100 millis")))
  Effect.runPromise(Effect.provide(ask("/", Redacted.make("x"), {}), FetchHttpClient.layer)).then(console.log)
`

const page = `
  import { Effect, Schema, Stream } from "effect"
  import * as FetchHttpClient from "effect/http/FetchHttpClient"
  import { Agent, App, Client } from "fastagentic/client"
  const Support = Agent.make("support", { description: "Answers", payload: { question: Schema.String } })
  const Shop = App.make("shop", { version: "1.0.0", agents: [Support] })
  const program = Effect.gen(function*() {
    const client = yield* Client.make(Shop, { url: "/" })
    yield* Stream.runForEach(client.agents.support.text({ question: "Where?" }), Effect.log)
    return yield* client.runs.pending()
  })
  Effect.runPromise(Effect.provide(program, FetchHttpClient.layer)).then(console.log)
`

describe("fastagentic/client in a browser", () => {
  it("has no module of Node, and is less than 1.5 times as large as Effect alone", async () => {
    const [alone, whole] = [await bundle(floor), await bundle(page)]
    assert.deepStrictEqual(whole.builtins, [])
    assert.notMatch(whole.text, /node:sqlite|\bprocess\.(?:exit|stdout)\b/u)
    const ratio = whole.gzipped / alone.gzipped
    assert.isBelow(ratio, 1.5, `${whole.gzipped} bytes gzipped, Effect alone ${alone.gzipped}`)
  })

  it("has React hooks beside it, without a module of Node", async () => {
    const { builtins, text } = await bundle(`
      import { Agent, App } from "fastagentic/client"
      import { ReactClient } from "fastagentic/react"
      const Shop = App.make("shop", { version: "1.0.0", agents: [Agent.make("support", { description: "Answers" })] })
      console.log(ReactClient.make(Shop, { url: "/" }))
    `)
    assert.deepStrictEqual(builtins, [])
    assert.notMatch(text, /node:sqlite|\bprocess\.(?:exit|stdout)\b/u)
  })
})
