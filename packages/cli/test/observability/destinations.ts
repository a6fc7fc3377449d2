// A server that stands for the vendors: it decodes what is posted, by the proto of OTLP, and answers as a test says.
import { Schema } from "effect"
import { once } from "node:events"
import { createServer, type IncomingHttpHeaders } from "node:http"
import { gunzipSync } from "node:zlib"
import { decodeTraces } from "./otlpProto.ts"

const Hex = (length: number) => Schema.String.check(Schema.isPattern(new RegExp(`^[0-9a-f]{${length}}$`, "u")))
const Attributes = Schema.Array(
  Schema.Struct({ key: Schema.NonEmptyString, value: Schema.Record(Schema.String, Schema.Unknown) })
)
const Span = Schema.Struct({
  traceId: Hex(32),
  spanId: Hex(16),
  parentSpanId: Schema.optionalKey(Hex(16)),
  name: Schema.NonEmptyString,
  kind: Schema.Literals([1, 2, 3, 4, 5]),
  startTimeUnixNano: Schema.BigInt,
  endTimeUnixNano: Schema.BigInt,
  attributes: Schema.optionalKey(Attributes)
})
const Traces = Schema.Struct({
  resourceSpans: Schema.NonEmptyArray(Schema.Struct({
    resource: Schema.Struct({ attributes: Attributes }),
    scopeSpans: Schema.NonEmptyArray(Schema.Struct({ spans: Schema.NonEmptyArray(Span) }))
  }))
})

const plain = (attributes: typeof Attributes.Type = []): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

export interface Posted {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly resource: Record<string, unknown>
  readonly spans: ReadonlyArray<
    Omit<typeof Span.Type, "attributes"> & { readonly attributes: Record<string, unknown> }
  >
}

export interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: Uint8Array | string
}

/** Answers by a function of the request; `hang` never answers. */
export const vendors = async (
  answerTo: (posted: Posted) => Answer | "hang" = () => ({ status: 200 })
) => {
  const posts: Array<Posted & { readonly status: number }> = []
  const problems: Array<unknown> = []
  const server = createServer(async (request, response) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk)
    try {
      const body = Buffer.concat(chunks)
      const data = Schema.decodeUnknownSync(Traces)(
        decodeTraces(request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body)
      )
      const [{ resource, scopeSpans }] = data.resourceSpans
      const posted = {
        path: request.url ?? "",
        headers: request.headers,
        resource: plain(resource.attributes),
        spans: scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, attributes: plain(span.attributes) })))
      }
      const answer = answerTo(posted)
      posts.push({ ...posted, status: answer === "hang" ? 0 : answer.status })
      if (answer === "hang") return
      response.writeHead(answer.status, answer.headers).end(answer.body)
    } catch (error) {
      problems.push(error)
      response.writeHead(400).end()
    }
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  /** All spans that were accepted under a path. */
  const spansAt = (path: string) =>
    posts.filter((post) => post.path === path && post.status === 200).flatMap(({ spans }) => spans)
  return { url, posts, problems, spansAt, close }
}
