import { NodeHttpServer } from "@effect/platform-node"
import { Agent, App, Audit, Auth, Budget, Event, RateLimit, Resource, Run, RunStore } from "@fastagentic/core"
import { Mount } from "@fastagentic/protocols/mount"
import { Effect, Layer, Schema, Stream } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { createServer } from "node:http"
import { raw } from "../http/rest.ts"

/** Never ends by itself. */
class Stay extends Agent.make("stay", { description: "Stays", payload: {}, success: Schema.String }) {}

class Echo extends Agent.make("echo", { description: "Echoes", payload: { text: Schema.String } }) {}

/** Asks for a boolean. */
class Ask extends Agent.make("ask", { description: "Asks", payload: {}, success: Schema.Boolean }) {}

const Page = Resource.make("page", "page://main", { description: "A page", mimeType: "text/html" })
const Drawing = Resource.make("drawing", "drawing://main", { description: "A drawing", mimeType: "image/svg+xml" })
const Feed = Resource.make("feed", "feed://main", { description: "A feed", mimeType: "application/atom+xml" })
const Note = Resource.make("note", "note://main", { description: "A note" })

export class Desk extends App.make("desk", {
  version: "1.0.0",
  agents: [Stay, Echo, Ask],
  resources: [Page, Drawing, Feed, Note]
}) {}

/** Marks its document when it runs as a script of the server's origin. */
const script = "<script>document.title = \"active\"; fetch(\"/runs\")</script>"

const Handlers = Layer.mergeAll(
  Stay.toLayer(() => Effect.never),
  Echo.toLayer(({ text }) => Stream.make(Event.token(text))),
  Ask.toLayer(() => Effect.orDie(Run.interrupt("go", { schema: Schema.Boolean }))),
  Page.toLayer(() => Effect.succeed(`<!doctype html><title>inert</title>${script}`)),
  Drawing.toLayer(() => Effect.succeed(`<svg xmlns="http://www.w3.org/2000/svg">${script}</svg>`)),
  Feed.toLayer(() => Effect.succeed("<feed xmlns=\"http://www.w3.org/2005/Atom\"/>")),
  Note.toLayer(() => Effect.succeed("a note"))
)

const services = (auth: Layer.Layer<Auth.Auth>) =>
  Layer.mergeAll(
    auth,
    RunStore.RunStore.layerMemory,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited,
    Audit.layerMemory
  )

/** The desk on a router of its host, with the services behind it. */
export const mountDesk = (options: Mount.Options = {}, auth: Layer.Layer<Auth.Auth> = Auth.layerNone) =>
  Mount.layer(Desk, { grace: "100 millis", ...options }).pipe(Layer.provide(Handlers), Layer.provide(services(auth)))

/** Two routes of the host itself. */
export const hostRoutes = HttpRouter.use((router) =>
  Effect.andThen(
    router.add("GET", "/health", HttpServerResponse.text("the host is well")),
    router.add("GET", "/", HttpServerResponse.html("<!doctype html><title>host</title>"))
  )
)

/** Serves routes as a program without any option of this project would, for as long as the scope is open. */
export const serveHost = <A, E>(routes: Layer.Layer<A, E, HttpRouter.HttpRouter>) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(Layer.fresh(
      HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
      )
    ))
    const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
    return "port" in address ? `http://127.0.0.1:${address.port}` : "unix:"
  })

/** The desk on a socket, beside the routes of its host. */
export const serveDesk = (options?: Mount.Options, auth?: Layer.Layer<Auth.Auth>) =>
  serveHost(Layer.merge(hostRoutes, mountDesk(options, auth)))

export const statusOf = (url: string, path: string, headers: Record<string, string> = {}, method = "GET") =>
  Effect.map(raw(url, path, { headers, method }), ({ status }) => status)
