// Serves the OAuth metadata of the app and of its MCP endpoint without credentials, because it says how to get some. Mount
// adds it beside the protocols, and under the public path of a prefixed app, where clients look by themselves.
import { Auth } from "@fastagentic/core/door/Auth"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, type Layer } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { documentOf, type ResourcePath, wellKnown } from "../../internal/protectedResource.ts"
import { PublicAddress } from "../../internal/publicAddress.ts"
import type { Settings } from "./settings.ts"

/** The request headers that the addresses in the document can come from. */
const headers = {
  "cache-control": "public, max-age=300",
  vary: "Host, X-Forwarded-Host, X-Forwarded-Prefix, X-Forwarded-Proto"
}

export const layer = (
  paths: ReadonlyArray<ResourcePath>
): Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const { fusion } = yield* Runtime
      const { issuers = [] } = yield* Auth
      if (issuers.length === 0) return
      for (const path of paths) {
        const document = Effect.map(
          PublicAddress,
          (address) => HttpServerResponse.jsonUnsafe(documentOf(issuers, fusion, address, path), { headers })
        )
        yield* router.add("GET", `${wellKnown}${path}`, document)
      }
    })
  )

/** The addresses that RFC 9728 gives the metadata of an app below the root, and the paths by which its own router has it. */
export const insertedPaths = ({ prefix, publicUrl }: Settings): ReadonlyMap<`/${string}`, string> => {
  const bases = [prefix, publicUrl?.pathname.replace(/\/+$/u, "") ?? ""].filter((path) => path !== "/" && path !== "")
  return new Map(
    bases.flatMap((base) => ["", "/mcp"].map((path) => [`${wellKnown}${base}${path}`, `${wellKnown}${path}`] as const))
  )
}
