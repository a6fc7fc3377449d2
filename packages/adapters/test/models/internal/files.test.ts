// Files behind URLs in prompts, at a fake model server and a host of files on the loopback interface.
import { assert, describe, it } from "@effect/vitest"
import { Egress } from "@fastagentic/adapters/egress"
import { Models } from "@fastagentic/adapters/models"
import { Effect, Layer, Redacted } from "effect"
import { AiError, LanguageModel, Prompt } from "effect/ai"
import { once } from "node:events"
import { createServer } from "node:http"
import * as Fake from "../fakeOpenAi.ts"

const answer = Fake.completion({ content: "Hi" })
const on = Effect.provide(Fake.FakeOpenAi.layer([answer]))

/** A host with a picture, a page that is not there, one that fails, and a file that is too large. */
const host = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer((request, response) => {
      const [path] = (request.url ?? "").split("?")
      const status = path === "/gone" ? 404 : path === "/broken" ? 503 : 200
      response.writeHead(status, { "content-type": "image/webp; charset=binary" })
      const mebibytes = path === "/huge" ? 21 : path === "/large" ? 18 : 0
      response.end(mebibytes === 0 ? "hi" : Buffer.alloc(mebibytes * 1_048_576))
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    return { server, port: typeof address === "object" ? address?.port ?? 0 : 0 }
  }),
  ({ server }) => Effect.sync(() => server.close())
)

const prompt = (url: string, mediaType = "image/png"): Prompt.RawInput => [
  { role: "user", content: [{ type: "file", mediaType, data: new URL(url) }] }
]

/** The prompt of a second turn, after a tool gave the address of a picture. */
const fromTool = (url: string): Prompt.RawInput =>
  Prompt.fromMessages([
    Prompt.userMessage({ content: [Prompt.textPart({ text: "Draw" })] }),
    Prompt.assistantMessage({
      content: [Prompt.toolCallPart({ id: "c", name: "draw", params: {}, providerExecuted: false })]
    }),
    Prompt.toolMessage({
      content: [Prompt.toolResultPart({
        id: "c",
        name: "draw",
        result: null,
        isFailure: false,
        providerExecuted: false,
        modelOutput: [Prompt.filePart({ mediaType: "image/png", data: new URL(url) })]
      })]
    })
  ])

const key = { apiKey: Redacted.make("k") }
const sent = Effect.flatMap(Fake.FakeOpenAi, ({ received }) => received)

describe("a file behind a URL in a prompt", () => {
  const ask = (prompt: Prompt.RawInput, allow?: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const { baseUrl } = yield* Fake.FakeOpenAi
      const model = allow === undefined
        ? Models.layer("m", { ...key, baseUrl })
        : Layer.provide(
          Models.layerNoDeps("m", { ...key, baseUrl }),
          Layer.orDie(Egress.layer({ allow, maxResponseSize: 64 * 1_048_576 }))
        )
      return yield* Effect.provide(LanguageModel.generateText({ prompt }), model)
    })

  const refused = (prompt: Prompt.RawInput, allow?: ReadonlyArray<string>) =>
    Effect.map(
      Effect.flip(ask(prompt, allow)),
      (error) => AiError.isAiError(error) ? error : assert.fail(String(error))
    )

  for (
    const [name, url] of [
      ["the metadata service", "http://169.254.169.254/latest/meta-data"],
      ["a private address", "http://10.0.0.7/a.png"],
      ["the loopback interface in another notation", "http://0x7f000001/a.png"]
    ] as const
  ) {
    it.live(`leads not to ${name}, in a message or a result of a tool, and the model is not asked`, () =>
      Effect.gen(function*() {
        for (const one of [prompt(url), fromTool(url)]) {
          const { message, reason } = yield* refused(one)
          assert.strictEqual(reason._tag, "InvalidUserInputError")
          assert.include(message + JSON.stringify(reason), "not on the public network")
        }
        assert.lengthOf(yield* sent, 0)
      }).pipe(on))
  }

  it.live("is sent as bytes to a server that fetches none, with the type that its host states where none is known", () =>
    Effect.gen(function*() {
      const { port } = yield* host
      const url = `http://127.0.0.1:${port}/a.png?signature=secret`
      yield* ask(prompt(url), ["127.0.0.1"])
      yield* ask(prompt(url, "image/*"), ["127.0.0.1"])
      const bodies = (yield* sent).map(({ body }) => JSON.stringify(body))
      assert.include(bodies[0], "data:image/png;base64,aGk=")
      assert.include(bodies[1], "data:image/webp;base64,aGk=")
      for (const body of bodies) assert.notInclude(body, "signature")
    }).pipe(Effect.scoped, Effect.provide(Fake.FakeOpenAi.layer([answer, answer]))))

  it.live("that is not there, is too large or has another scheme is refused; a host that fails may be asked again", () =>
    Effect.gen(function*() {
      const { port } = yield* host
      const at = (path: string) => refused(prompt(`http://127.0.0.1:${port}${path}`), ["127.0.0.1"])
      const gone = yield* at("/gone?signature=secret")
      assert.strictEqual(gone.reason._tag, "InvalidUserInputError")
      assert.include(JSON.stringify(gone), "HTTP 404")
      assert.notInclude(JSON.stringify(gone) + gone.message, "signature")
      assert.include(JSON.stringify(yield* at("/huge")), "more than 20 MiB")
      const large = new URL(`http://127.0.0.1:${port}/large`)
      const four = Array.from({ length: 4 }, () => ({ type: "file", mediaType: "image/png", data: large }) as const)
      assert.include(
        JSON.stringify(yield* refused([{ role: "user", content: four }], ["127.0.0.1"])),
        "60 MiB together"
      )
      const broken = yield* at("/broken")
      assert.strictEqual(broken.reason._tag, "NetworkError")
      assert.isTrue(broken.isRetryable)
      assert.include(JSON.stringify(yield* refused(prompt("s3://bucket/a.png"))), "does not read")
      assert.lengthOf(yield* sent, 0)
    }).pipe(Effect.scoped, on))

  it.live("is left to a provider that fetches it", () =>
    Effect.gen(function*() {
      const { baseUrl } = yield* Fake.FakeOpenAi
      const model = Models.layer("groq:m", { ...key, baseUrl })
      yield* Effect.provide(LanguageModel.generateText({ prompt: prompt("https://example.com/a.png") }), model)
      assert.include(JSON.stringify((yield* sent)[0]?.body), "https://example.com/a.png")
    }).pipe(on))
})
