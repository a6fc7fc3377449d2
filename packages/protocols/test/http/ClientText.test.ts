import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Runtime, Transcript } from "@fastagentic/core"
import { Client } from "@fastagentic/protocols/http"
import { Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { makeTalker, serveOn, wordsOf } from "../restarting.ts"
import { layerStores } from "../stores.ts"

class Talk extends Agent.make("talk", { description: "Talks", payload: {} }) {}
class Acme extends App.make("acme", { version: "1.0.0", agents: [Talk] }) {}

describe("The text of an answer whose server goes away in the middle", () => {
  it.live("shows the words of the last attempt only, in the typed client and to a reader of the events", () =>
    Effect.gen(function*() {
      const stores = yield* Layer.build(layerStores)
      const { talk } = makeTalker(100, "done")
      const runtime = Runtime.layer(Acme, { grace: 0 }).pipe(Layer.provide(Talk.toLayer(() => talk)))
      const server = serveOn("rest", stores, runtime)
      const first = yield* Scope.make()
      let url = yield* Scope.provide(first)(server)
      const http = Effect.map(
        HttpClient.HttpClient,
        HttpClient.mapRequest((request) => HttpClientRequest.setUrl(request, request.url.replace("http://talks", url)))
      )
      const client = yield* Client.make(Acme, { url: "http://talks", retries: 20 }).pipe(
        Effect.provide(Layer.effect(HttpClient.HttpClient, http).pipe(Layer.provide(FetchHttpClient.layer)))
      )
      const seen: Array<string> = []
      const reading = yield* Effect.forkChild(
        Stream.runForEach(client.agents.talk.text(), (text) => Effect.sync(() => seen.push(text)))
      )
      while (seen.length < 2) yield* Effect.sleep("5 millis")
      yield* Scope.close(first, Exit.void)
      url = yield* server
      yield* Fiber.join(reading)
      const words = wordsOf("second")
      assert.include(seen, "first0 first1 ")
      assert.strictEqual(seen.at(-1), words)
      const { items } = yield* client.runs.list()
      const events = yield* Stream.runCollect(client.runs.events(items[0]?.runId ?? ""))
      const transcript = new Transcript.Transcript()
      for (const event of events) transcript.add(event)
      assert.strictEqual(transcript.text, words)
      assert.include(events.flatMap((event) => event.type === "token" ? [event.data.delta] : []).join(""), "first0 ")
    }).pipe(Effect.scoped))
})
