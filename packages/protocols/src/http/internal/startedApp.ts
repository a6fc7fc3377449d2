// An app in memory for tests that know no effects: AppTest.start. Each call of a test is one promise.
import { Effect, Exit, Scope, Stream } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"

interface Life<Client> {
  readonly http: HttpClient.HttpClient
  readonly restart: Effect.Effect<Client>
}

export const startedApp = async <Client extends Life<Client>>(
  making: Effect.Effect<Client, unknown, Scope.Scope>,
  url: string
) => {
  const scope = Scope.makeUnsafe()
  const stop = () => Effect.runPromise(Scope.close(scope, Exit.void))
  // A start that fails leaves nothing open.
  let client = await Effect.runPromise(Scope.provide(making, scope)).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return {
    run: <A, E>(use: (client: Client) => Effect.Effect<A, E>) => Effect.runPromise(Effect.suspend(() => use(client))),
    fetch: (input: string | URL | Request, init?: RequestInit) =>
      Effect.runPromise(send(client.http, new Request(input instanceof Request ? input : new URL(input, url), init))),
    restart: async () => {
      client = await Effect.runPromise(client.restart)
    },
    stop,
    [Symbol.asyncDispose]: stop
  }
}

const send = Effect.fnUntraced(function*(http: HttpClient.HttpClient, request: Request) {
  const { hash: _hash, pathname, search } = new URL(request.url)
  const answer = yield* http.execute(HttpClientRequest.setUrl(HttpClientRequest.fromWeb(request), pathname + search))
  const hasBody = answer.status !== 204 && answer.status !== 304 && request.method !== "HEAD"
  return new Response(hasBody ? yield* Stream.toReadableStreamEffect(answer.stream) : null, {
    status: answer.status,
    headers: { ...answer.headers }
  })
})
