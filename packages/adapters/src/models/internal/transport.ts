// A `fetch` over Effect's HTTP client for provider packages: with limits of its own, in the context of the calling run.
import { Context, Duration, Effect, Exit, Stream } from "effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import { isHttpMethod } from "effect/http/HttpMethod"
import { AsyncLocalStorage } from "node:async_hooks"
import type { Fetch } from "./wire/mendedFetch.ts"

/** A request that did not get its whole answer; the cause of a package's own error. */
export class TransportFailure extends Error {
  override readonly name = "TransportFailure"
  readonly url: string
  constructor(message: string, url: string) {
    super(message)
    this.url = url
  }
}

/** An answer that is longer than any model's; it is not asked for again. */
export class AnswerTooLong extends TransportFailure {}

/** The most bytes of an answer: a stream is kept piece by piece, another body is read as a whole. */
const longest = (type: string | undefined): number => (/event-?stream/iu.test(type ?? "") ? 128 : 64) * 1_048_576

/** The time limits of one request. */
export interface Limits {
  /** The time until the status and the headers have arrived. Default 10 minutes: some models think before they answer. */
  readonly firstByte?: Duration.Input | undefined
  /** The time between two pieces of the answer. Default 10 minutes. */
  readonly idle?: Duration.Input | undefined
  /** The time for the whole answer. Default 1 hour. */
  readonly total?: Duration.Input | undefined
}

/** The services of the call that makes a request: a package calls its fetch with no knowledge of them. */
const callers = new AsyncLocalStorage<Context.Context<never>>()

/** Runs a package's code in the context of the current fiber. */
export const withCaller = <A>(context: Context.Context<never>, run: () => A): A => callers.run(context, run)

type Times = { readonly [Name in keyof Limits]-?: Duration.Duration }

const timesOf = ({ firstByte = "10 minutes", idle = "10 minutes", total = "1 hour" }: Limits): Times => ({
  firstByte: Duration.fromInputUnsafe(firstByte),
  idle: Duration.fromInputUnsafe(idle),
  total: Duration.fromInputUnsafe(total)
})

/** Aborts a request from three sides: its caller, its limits, and the end of its body. */
class Deadline {
  readonly controller = new AbortController()
  private readonly limits: Times
  private readonly total: NodeJS.Timeout
  private next: NodeJS.Timeout
  private readonly caller: AbortSignal | undefined
  private readonly onAbort: () => void
  private readonly url: string

  constructor(url: string, limits: Times, caller: AbortSignal | undefined) {
    this.url = url
    this.limits = limits
    this.next = this.after(limits.firstByte, "the provider sent nothing within")
    this.total = this.after(limits.total, "the answer was not complete within")
    this.caller = caller
    this.onAbort = () => this.controller.abort(caller?.reason)
    if (caller?.aborted === true) this.onAbort()
    caller?.addEventListener("abort", this.onAbort, { once: true })
  }

  private after(limit: Duration.Duration, words: string) {
    const fail = () => this.controller.abort(new TransportFailure(`${words} ${Duration.format(limit)}`, this.url))
    return setTimeout(fail, Math.min(Duration.toMillis(limit), 2 ** 31 - 1))
  }

  /** The headers have arrived: from now on the pieces are limited. */
  startBody() {
    clearTimeout(this.next)
    this.next = this.after(this.limits.idle, "the answer stopped for")
  }

  progress() {
    this.next.refresh()
  }

  end() {
    clearTimeout(this.next)
    clearTimeout(this.total)
    this.caller?.removeEventListener("abort", this.onAbort)
  }
}

const failureOf = (url: string) => ({ reason }: HttpClientError.HttpClientError): TransportFailure => {
  const cause = "cause" in reason ? reason.cause : undefined
  const words = reason.description ?? (cause instanceof Error ? cause.message : undefined)
  return new TransportFailure(words === undefined || words === "" ? "the provider could not be reached" : words, url)
}

/** The body as the package reads it; its end, its failure and its cancellation end the deadline. */
const bodyOf = (
  url: string,
  response: HttpClientResponse,
  context: Context.Context<never>,
  deadline: Deadline
) => {
  const { signal } = deadline.controller
  const limit = longest(response.headers["content-type"])
  let received = 0
  const stream = Stream.mapError(response.stream, failureOf(url))
  const reader = Stream.toReadableStreamWith(stream, context, { signal, strategy: { highWaterMark: 0 } }).getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        deadline.end()
        throw error
      })
      if (!done) {
        deadline.progress()
        received += value.length
        if (received <= limit) return controller.enqueue(value)
        deadline.end()
        const failure = new AnswerTooLong(`the answer has more than ${limit / 1_048_576} MiB`, url)
        deadline.controller.abort(failure)
        throw failure
      }
      deadline.end()
      if (signal.aborted) throw signal.reason
      controller.close()
    },
    cancel(reason) {
      deadline.end()
      return reader.cancel(reason)
    }
  }, { highWaterMark: 0 })
}

const isBodiless = (status: number) => status === 204 || status === 205 || status === 304

const requestOf = (url: string, init: RequestInit): HttpClientRequest.HttpClientRequest => {
  const headers = new Headers(init.headers)
  const method = init.method ?? "GET"
  const request = HttpClientRequest.make(isHttpMethod(method) ? method : "POST")(url, {
    headers: Object.fromEntries(headers)
  })
  const { body } = init
  if (body === undefined || body === null) return request
  const bytes = body instanceof Uint8Array ? body : new TextEncoder().encode(String(body))
  return HttpClientRequest.setBody(
    request,
    HttpBody.uint8Array(bytes, headers.get("content-type") ?? "application/json")
  )
}

/** A fetch that sends through a client. Trace headers are not sent to third parties. */
export const makeFetch = (client: HttpClient.HttpClient, limits: Limits): Fetch => {
  const times = timesOf(limits)
  return (target, init = {}) =>
    new Promise((resolve, reject) => {
      const url = String(target)
      const deadline = new Deadline(url, times, init.signal ?? undefined)
      const { signal } = deadline.controller
      const context = Context.add(callers.getStore() ?? Context.empty(), HttpClient.TracerPropagationEnabled, false)
      const fail = (error: unknown) => {
        deadline.end()
        reject(signal.aborted ? signal.reason : error)
      }
      Effect.runCallbackWith(context)(client.execute(requestOf(url, init)), {
        signal,
        onExit: (exit) => {
          if (Exit.isFailure(exit)) {
            const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
            return fail(
              error === undefined ? new TransportFailure("the request could not be made", url) : failureOf(url)(error)
            )
          }
          const { headers, status } = exit.value
          const hasBody = !isBodiless(status)
          if (hasBody) deadline.startBody()
          else deadline.end()
          const body = hasBody ? bodyOf(url, exit.value, context, deadline) : null
          resolve(new Response(body, { status, headers: { ...headers } }))
        }
      })
    })
}
