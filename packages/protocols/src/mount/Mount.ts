/**
 * An app under a path of any router: REST, WebSocket, MCP and A2A with their guards, headers and shutdown.
 *
 * @since 0.1.0
 */
import type * as App from "@fastagentic/core/app/App"
import type { FusionError } from "@fastagentic/core/app/Fusion"
import type { Audit } from "@fastagentic/core/audit/Audit"
import type { Budget } from "@fastagentic/core/budget/Budget"
import type { Auth } from "@fastagentic/core/door/Auth"
import type { RateLimit } from "@fastagentic/core/door/RateLimit"
import * as Runtime from "@fastagentic/core/operations/Runtime"
import type { StoreUnavailable } from "@fastagentic/core/run/RunError"
import type { RunStore } from "@fastagentic/core/store/RunStore"
import { type Duration, Effect, Layer } from "effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import { InsecureBind, mountPrepared, prepare } from "./internal/mountRoutes.ts"
import { type Protocol, protocolRoutes } from "./internal/protocolRoutes.ts"
import { InvalidMount } from "./internal/settings.ts"

export { InsecureBind, InvalidMount }

/** The requests that a mount accepts, besides those of its own address. @category models @since 0.1.0 */
export interface Guards {
  /** Further host names of the server, without ports. */
  readonly hosts?: ReadonlyArray<string> | undefined
  /** Addresses and networks of proxies whose `X-Forwarded-Proto`, `-Host` and `-Prefix` are believed; none by default. */
  readonly proxies?: ReadonlyArray<string> | undefined
  /** Whether an app without an auth layer answers when the platform does not show who is connected; `refuse` by default. */
  readonly unknownPeers?: "refuse" | "accept" | undefined
}

/** @category models @since 0.1.0 */
export interface Options {
  /** The path of the app on its router, such as `/agents`; the root by default. */
  readonly prefix?: string | undefined
  /** The URL of the mounted app for its clients, with its whole path; by default the request's host and the prefix. */
  readonly publicUrl?: string | undefined
  /** The origins whose pages may use the app, such as `https://app.example.com`; none by default. */
  readonly cors?: ReadonlyArray<string> | undefined
  readonly guards?: Guards | undefined
  /** The protocols that are served; all by default. */
  readonly protocols?: ReadonlyArray<Protocol> | undefined
  /** The largest body of a request and frame of a WebSocket, in bytes; 1 MiB by default. */
  readonly bodyLimit?: number | undefined
  /** How long the body of a request may take to arrive; 30 seconds by default. */
  readonly bodyTimeout?: Duration.Input | undefined
  /** How long a `POST` waits for its run before it answers 202 with the run; without a limit by default. */
  readonly wait?: Duration.Input | undefined
  /** How long runs have to come to their next commit when the mount ends, 5 seconds by default. */
  readonly grace?: Duration.Input | undefined
  /** How often the credentials of open streams and WebSockets are looked at again, 5 seconds by default; or `"off"`. */
  readonly credentialCheck?: Duration.Input | "off" | undefined
  /** How far ahead `startAt` may be, 365 days by default. */
  readonly longestDelay?: Duration.Input | undefined
}

/** The largest body of a request by default, in bytes. @category constants @since 0.1.0 */
export const defaultBodyLimit = 1_048_576

/** The services of a mounted app, besides its handlers. @category models @since 0.1.0 */
export type Requirements = RunStore | Auth | RateLimit | Budget | Audit

/**
 * Mounts an app on the router.
 *
 * **Details**
 *
 * Each request is checked before authentication: an app without an auth layer answers only its own machine, the host name
 * must be one of the server's, and a page must be the app's own or listed in `cors`. Answers carry the security headers,
 * links and documents carry the public address, and open streams end when the server stops listening.
 *
 * One route `*` under the prefix serves everything, so the router's own routes, such as `/health`, take precedence.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A extends App.Any>(app: A, options: Options = {}): Layer.Layer<
  Runtime.Runtime,
  FusionError | StoreUnavailable | InvalidMount | InsecureBind,
  HttpRouter.HttpRouter | App.Handlers<A> | Requirements
> =>
  Layer.unwrap(Effect.map(
    // Nothing of the app starts, and no run resumes, before the options and the server's address are checked.
    prepare(options),
    (plan) =>
      mountPrepared(protocolRoutes(options.protocols), plan).pipe(
        Layer.provideMerge(Runtime.layer(app, options))
      )
  ))
