// Wraps the fetch of the compatible package: mends answers of servers that resemble the chat completions API.
import { isFields, parse } from "../fields.ts"
import { statusIn, wordsOf } from "../words.ts"
import * as Chunk from "./chunk.ts"
import * as Frames from "./frames.ts"
import * as Refusals from "./refusals.ts"
import { mendStream } from "./stream.ts"
import { readText } from "./wholeBody.ts"

export type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>

const withBody = (response: Response, body: BodyInit | null, status = response.status): Response => {
  const headers = new Headers(response.headers)
  headers.delete("content-length")
  headers.delete("content-encoding")
  return new Response(body, { status, statusText: response.statusText, headers })
}

/** A text in JSON cannot hold these characters unescaped, so they are the request's own field. */
const isStream = (body: string) => body.includes("\"stream\":true")

/** A completion as it should be, or the error inside it with the status that the error states. */
const mendBody = async (response: Response): Promise<Response> => {
  const text = await readText(response)
  const value = parse(text.replace(/^\uFEFF/u, ""))
  const error = Chunk.errorIn(value ?? text)
  if (error !== undefined) {
    return withBody(response, JSON.stringify(Frames.errorFields(error)), statusIn(wordsOf(error)) ?? 502)
  }
  const mended = isFields(value) ? Chunk.mend(value) : undefined
  return withBody(response, mended?.message === undefined ? text : JSON.stringify(Frames.completion(mended)))
}

/** Repeats a request without the fields that the server refuses. */
const sendUntilTaken = async (
  fetch: Fetch,
  refusals: Refusals.Refusals,
  url: Parameters<Fetch>[0],
  init: RequestInit
) => {
  let body = refusals.apply(String(init.body))
  for (;;) {
    const response = await fetch(url, { ...init, body })
    if (response.status !== 400 && response.status !== 422) return response
    const error = await readText(response)
    const changed = refusals.learn(body, error)
    if (changed === undefined) return withBody(response, error)
    body = changed
  }
}

/** A fetch whose answers have the form that the package accepts. */
export const mendedFetch = (fetch: Fetch): Fetch => {
  const refusals = Refusals.make()
  return async (url, init) => {
    if (typeof init?.body !== "string") return await fetch(url, init)
    const response = await sendUntilTaken(fetch, refusals, url, init)
    if (!response.ok) return response
    if (!isStream(init.body)) return await mendBody(response)
    return response.body === null ? response : withBody(response, mendStream(response.body))
  }
}
