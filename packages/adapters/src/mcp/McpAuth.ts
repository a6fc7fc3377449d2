/**
 * How an app proves itself to a remote MCP server.
 *
 * @since 0.1.0
 */
import type { AuthProvider, OAuthClientProvider } from "@modelcontextprotocol/client"
import { Redacted } from "effect"
import type { Library } from "./internal/library.ts"

/** A way to be authorized. @category models @since 0.1.0 */
export interface Auth {
  /** The provider that the official client asks, for one server. */
  readonly provider: (library: Library, url: string) => AuthProvider | OAuthClientProvider
}

/** A token that is known from the start, such as an API key. @category constructors @since 0.1.0 */
export const bearer = (token: Redacted.Redacted): Auth => ({
  provider: () => ({ token: () => Promise.resolve(Redacted.value(token)) })
})
