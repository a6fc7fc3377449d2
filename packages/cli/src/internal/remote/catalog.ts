// The field of an agent's payload that a message fills, as the server says it: `chat` asks once.
import { Effect, Schema } from "effect"
import * as Request from "./request.ts"
import * as Server from "./server.ts"

const Chat = Schema.Union([
  Schema.Struct({
    field: Schema.String,
    takes: Schema.Literals(["text", "content"]),
    requires: Schema.Array(Schema.String)
  }),
  Schema.Struct({ problem: Schema.String })
])

const Catalog = Schema.Struct({
  items: Schema.Array(Schema.Struct({ identifier: Schema.String, chat: Chat }))
})

export const chatOf = Effect.fnUntraced(function*(server: Server.Server, agent: string) {
  const refused = (problem: string) => new Server.NotDone({ problem })
  const json = yield* Request.json(server, { path: "/agents" })
  const { items } = yield* Effect.mapError(
    Schema.decodeUnknownEffect(Catalog)(json),
    () => refused("the server has no list of agents that this version knows")
  )
  const found = items.find(({ identifier }) => identifier === agent)
  if (found === undefined) {
    const names = items.map(({ identifier }) => identifier).join(", ")
    return yield* refused(`there is no agent "${agent}"; there is ${names === "" ? "none" : names}`)
  }
  return "problem" in found.chat ? yield* refused(found.chat.problem) : found.chat
})
