import { describe, layer } from "@effect/vitest"
import { Auth, Principal } from "@fastagentic/core"
import { Context, Effect, Layer, Redacted } from "effect"
import { grpcWires } from "./grpcWires.ts"
import { rows } from "./requirements.ts"
import { startWithGrpc } from "./support.ts"
import { wires } from "./wires.ts"

const key = (id: string, tenant: string) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant, scopes: [], roles: [], claims: {} })
})

class Url extends Context.Service<Url, string>()("@fastagentic/protocols/test/a2a/A2aRequirements.test/Url") {}

const server = Layer.effect(
  Url,
  startWithGrpc(Auth.layerKeys([key("ann", "acme"), key("bob", "acme"), key("eve", "other")]))
)

describe("A2A", () => {
  layer(server, { excludeTestServices: true })((it) => {
    for (const wire of [...wires, ...grpcWires]) {
      for (const { id, only, run, section, title, without } of rows) {
        if ((only !== undefined && only !== wire.version) || without === wire.binding) continue
        it.effect(`over ${wire.name}: ${title} (${id}, section ${section})`, () =>
          Effect.flatMap(Url, (url) => run({ wire, url: `${url}/a2a` })))
      }
    }
  })
})
