import { Context, Deferred, Effect, Layer, Ref } from "effect"
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type OpenAI from "openai"

export type Completion = OpenAI.Chat.Completions.ChatCompletion
export type Chunk = OpenAI.Chat.Completions.ChatCompletionChunk

/** The fake's answer to one request. */
export interface Answer {
  readonly status?: number | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body: string
  /** Breaks the connection after the body instead of ending it. */
  readonly breaks?: boolean | undefined
  /** Keeps the connection open after the body, until the client hangs up. */
  readonly hangs?: boolean | undefined
  /** Sends nothing at all. */
  readonly silent?: boolean | undefined
  /** Sends the body in one piece. */
  readonly whole?: boolean | undefined
}

export interface Received {
  readonly path: string | undefined
  readonly authorization: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

const id = "chatcmpl-1"
const created = 1_700_000_000
const model = "test-model-2026"

export const usage: OpenAI.CompletionUsage = {
  prompt_tokens: 20,
  completion_tokens: 9,
  total_tokens: 29,
  prompt_tokens_details: { cached_tokens: 8 },
  completion_tokens_details: { reasoning_tokens: 4 }
}

export const completion = (
  message: Partial<Completion["choices"][number]["message"]>,
  finish_reason: Completion["choices"][number]["finish_reason"] = "stop"
): Answer => {
  const body: Completion = {
    id,
    object: "chat.completion",
    created,
    model,
    choices: [{
      index: 0,
      logprobs: null,
      finish_reason,
      message: { role: "assistant", content: null, refusal: null, ...message }
    }],
    usage
  }
  return { body: JSON.stringify(body) }
}

/** A delta of the vendor, or with the reasoning that other servers of this format add. */
export type Delta = Chunk["choices"][number]["delta"] & { readonly reasoning_content?: string }

export const chunk = (
  delta: Delta,
  finish_reason: Chunk["choices"][number]["finish_reason"] = null
): Chunk => ({ id, object: "chat.completion.chunk", created, model, choices: [{ index: 0, delta, finish_reason }] })

export const usageChunk: Chunk = { id, object: "chat.completion.chunk", created, model, choices: [], usage }

const streamHeaders = { "content-type": "text/event-stream; charset=utf-8" }

export const frame = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

export const stream = (
  chunks: ReadonlyArray<Chunk>,
  options: Partial<Answer> & { readonly end?: string } = {}
): Answer => ({
  headers: streamHeaders,
  body: `: keep-alive\n\n${chunks.map(frame).join("")}${options.end ?? "data: [DONE]\n\n"}`,
  ...options
})

export const failure = (
  status: number,
  error: Partial<OpenAI.ErrorObject>,
  headers: Readonly<Record<string, string>> = {}
): Answer => ({
  status,
  headers: { "x-request-id": "req_1", ...headers },
  body: JSON.stringify({ error: { message: "", type: "error", param: null, code: null, ...error } })
})

/** Cuts bytes at arbitrary places inside events, lines and characters. */
const pieces = (body: string): ReadonlyArray<Buffer> => {
  const bytes = Buffer.from(body, "utf8")
  const sizes = [1, 2, 3, 5, 7, 11, 64, 2]
  const cut: Array<Buffer> = []
  for (let from = 0, turn = 0; from < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    cut.push(bytes.subarray(from, from + size))
    from += size
  }
  return cut
}

const write = async (response: ServerResponse, answer: Answer) => {
  if (answer.silent) return
  response.writeHead(answer.status ?? 200, { "content-type": "application/json", ...answer.headers })
  for (const piece of answer.whole ? [Buffer.from(answer.body)] : pieces(answer.body)) {
    response.write(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (answer.hangs) return
  if (answer.breaks) response.destroy()
  else response.end()
}

/** A server on the loopback interface that answers in the wire format of the vendor. */
export class FakeOpenAi extends Context.Service<FakeOpenAi, {
  readonly baseUrl: string
  readonly received: Effect.Effect<ReadonlyArray<Received>>
  /** Waits until a client has left before its answer was complete. */
  readonly hungUp: Effect.Effect<void>
}>()("@fastagentic/adapters/test/openai/fakeOpenAi") {
  static readonly layer = (answers: ReadonlyArray<Answer>): Layer.Layer<FakeOpenAi> =>
    Layer.effect(
      FakeOpenAi,
      Effect.gen(function*() {
        const received = yield* Ref.make<ReadonlyArray<Received>>([])
        const hungUp = yield* Deferred.make<void>()
        const queue = [...answers]
        const server = createServer((request, response) => {
          const bytes: Array<Buffer> = []
          response.on("close", () => {
            if (!response.writableEnded) Deferred.doneUnsafe(hungUp, Effect.void)
          })
          request.on("data", (data: Buffer) => bytes.push(data))
          request.on("end", () => {
            const { headers } = request
            const { authorization } = headers
            const body: unknown = JSON.parse(Buffer.concat(bytes).toString("utf8"))
            Effect.runSync(Ref.update(received, (all) => [...all, { path: request.url, authorization, headers, body }]))
            void write(response, queue.shift() ?? failure(500, { message: "no answer is left" }))
          })
        })
        yield* Effect.acquireRelease(
          Effect.callback<void>((resume) => {
            server.listen(0, "127.0.0.1", () => resume(Effect.void))
          }),
          () =>
            Effect.callback<void>((resume) => {
              server.closeAllConnections()
              server.close(() => resume(Effect.void))
            })
        )
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        return { baseUrl: `http://127.0.0.1:${port}/v1`, received: Ref.get(received), hungUp: Deferred.await(hungUp) }
      })
    )
}
