/**
 * The flags of `fastagentic run` for the address of a server and for the requests that it accepts.
 *
 * @since 0.1.0
 */
import type { Mount } from "@fastagentic/protocols/mount"
import { Config, Option } from "effect"
import * as Flag from "effect/cli/Flag"

const text = (name: string, variable: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withDescription(description),
    Flag.withFallbackConfig(Config.String(variable)),
    Flag.optional
  )

const list = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(`${description}; may be given several times`), Flag.atLeast(0))

/** @category flags @since 0.1.0 */
export const flags = {
  prefix: text("prefix", "FASTAGENTIC_PREFIX", "Path under which the app is served, such as /agents"),
  publicUrl: text(
    "public-url",
    "FASTAGENTIC_PUBLIC_URL",
    "URL by which clients reach the app, with its path, such as https://example.com/agents"
  ),
  corsOrigin: list("cors-origin", "Origin whose pages may use the app, such as https://app.example.com"),
  trustedProxy: list("trusted-proxy", "Address or network of a proxy whose X-Forwarded-* headers are believed"),
  allowedHost: list("allowed-host", "Further host name of the server, without a port")
}

/** @category models @since 0.1.0 */
export interface Values {
  readonly prefix: Option.Option<string>
  readonly publicUrl: Option.Option<string>
  readonly corsOrigin: ReadonlyArray<string>
  readonly trustedProxy: ReadonlyArray<string>
  readonly allowedHost: ReadonlyArray<string>
}

/** @category conversions @since 0.1.0 */
export const optionsOf = ({ allowedHost, corsOrigin, prefix, publicUrl, trustedProxy }: Values): Mount.Options => ({
  prefix: Option.getOrUndefined(prefix),
  publicUrl: Option.getOrUndefined(publicUrl),
  cors: corsOrigin,
  guards: { hosts: allowedHost, proxies: trustedProxy }
})
