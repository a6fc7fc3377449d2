// The AI Catalog at `/.well-known/ai-catalog.json`: public, cached, and for pages of every origin. protocolRoutes adds it.
import { Auth } from "@fastagentic/core/door/Auth"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, type Layer } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import { AgentRegistry } from "../../a2a/AgentRegistry.ts"
import * as AiCatalog from "../../internal/aiCatalog.ts"
import { PublicAddress } from "../../internal/publicAddress.ts"
import { publicDocument } from "../../internal/publicDocument.ts"
import { publicPart } from "../../internal/publicPart.ts"

const headers = { "access-control-allow-origin": "*" }

export const layer = (
  served: { readonly hasA2a: boolean; readonly hasMcp: boolean }
): Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const { fusion } = yield* Runtime
      const { open } = yield* Auth
      const registry = yield* AgentRegistry
      const visible = open ? fusion : publicPart(fusion)
      yield* router.add(
        "GET",
        "/.well-known/ai-catalog.json",
        Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          const address = yield* PublicAddress
          const external = (yield* registry.external).filter(({ listed }) => listed)
          const catalog = AiCatalog.make({ app: fusion.app, visible }, address, { external, ...served })
          return yield* publicDocument(request, JSON.stringify(catalog), headers)
        })
      )
    })
  )
