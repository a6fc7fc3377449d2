import { assert, describe, it } from "@effect/vitest"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Effect } from "effect"
import { get, json } from "../http/rest.ts"
import { serveFront } from "./lab.ts"

describe("The routes of the chat front ends", () => {
  it.live("are in the OpenAPI document of the app, for each agent", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const document = yield* json(yield* get(`${url}/openapi.json`))
      const { errors, valid } = yield* Effect.promise(() => new Validator().validate(document))
      assert.isTrue(valid, JSON.stringify(errors))
      const paths = Object.entries(Object(document["paths"])).flatMap(([path, methods]) =>
        path.startsWith("/agents/talk") || path.startsWith("/v1")
          ? Object.keys(Object(methods)).map((method) => `${method.toUpperCase()} ${path}`)
          : []
      )
      assert.deepStrictEqual(paths, [
        "POST /agents/talk",
        "POST /agents/talk/stream",
        "POST /agents/talk/runs",
        "POST /agents/talk/chat",
        "GET /agents/talk/chat/{chatId}",
        "GET /agents/talk/chat/{chatId}/stream",
        "DELETE /agents/talk/chat/{chatId}/stream",
        "POST /agents/talk/ag-ui",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "POST /v1/chat/completions",
        "POST /v1/responses",
        "GET /v1/responses/{responseId}",
        "POST /v1/responses/{responseId}/cancel"
      ])
    }).pipe(Effect.scoped))

  it.live("say of each agent how a message reaches it, or why none does", () =>
    Effect.gen(function*() {
      const { url } = yield* serveFront()
      const { items } = yield* json(yield* get(`${url}/agents`))
      const chats = new Map(Object.values(Object(items)).map((one) => [Object(one).identifier, Object(one).chat]))
      assert.deepStrictEqual(chats.get("talk"), { field: "text", takes: "text", requires: [] })
      assert.deepStrictEqual(chats.get("show"), { field: "message", takes: "content", requires: [] })
      assert.deepStrictEqual(chats.get("page"), { field: "text", takes: "text", requires: [], clientTools: true })
      assert.match(chats.get("add").problem, /^"add" takes no chat messages/u)
    }).pipe(Effect.scoped))
})
