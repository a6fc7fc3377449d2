// The page of the OpenAPI document, with a policy that allows its own two scripts and requests to its own server only.
import { Effect } from "effect"
import type * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiScalar from "effect/http-api/HttpApiScalar"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Stands for the public address in the page that is made once. */
const placeholder = "https://address.invalid"

/** The page has two scripts: the viewer, and the call that gives it the document. */
const parts = /^(?<head>.*?<script>)(?<viewer>.*)(?<between><\/script>\s*<script>)(?<call>.*)(?<tail><\/script>.*)$/su

/** The page for a public address; the viewer is read and hashed at the first request. */
export const makeDocsPage = Effect.fnUntraced(function*(
  described: Effect.Effect<HttpApi.HttpApi<string, HttpApiGroup.Constraint>>
) {
  const made = yield* Effect.cached(Effect.gen(function*() {
    const api = yield* described
    const html = yield* htmlOf(api.annotateMerge(OpenApi.annotations({ servers: [{ url: placeholder }] })))
    const { between = "", call = "", head = "", tail = "", viewer = "" } = parts.exec(html)?.groups ?? {}
    return { between, call, head, tail, viewer, viewerHash: yield* hashOf(viewer) }
  }))
  return Effect.fnUntraced(function*(url: string) {
    const { between, call, head, tail, viewer, viewerHash } = yield* made
    const addressed = call.replace(placeholder, () => url)
    return HttpServerResponse.text(`${head}${viewer}${between}${addressed}${tail}`, {
      contentType: "text/html; charset=utf-8",
      headers: { "content-security-policy": policyOf([viewerHash, yield* hashOf(addressed)]) }
    })
  })
})

const htmlOf = (api: HttpApi.HttpApi<string, HttpApiGroup.Constraint>): Effect.Effect<string> =>
  HttpRouter.toHttpEffect(HttpApiScalar.layer(api, { path: "/docs", scalar: { withDefaultFonts: false } })).pipe(
    Effect.flatten,
    // The page is made for no request of its own, so its route is the only thing that counts.
    Effect.provideService(
      HttpServerRequest.HttpServerRequest,
      HttpServerRequest.fromWeb(new Request("http://localhost/docs"))
    ),
    Effect.scoped,
    Effect.flatMap((response) => HttpServerResponse.toClientResponse(response).text),
    Effect.orDie
  )

const policyOf = (hashes: ReadonlyArray<string>) =>
  [
    "default-src 'none'",
    `script-src ${hashes.map((hash) => `'sha256-${hash}'`).join(" ")}`,
    "style-src 'unsafe-inline'",
    "img-src data: blob:",
    "font-src data:",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'"
  ].join("; ")

const encoder = new TextEncoder()

const hashOf = (text: string) =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", encoder.encode(text))),
    (digest) => btoa(String.fromCharCode(...new Uint8Array(digest)))
  )
