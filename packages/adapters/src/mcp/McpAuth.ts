/**
 * How an app proves itself to a remote MCP server: a token, or OAuth.
 *
 * @since 0.1.0
 */
import type { TokenSource } from "@fastagentic/core/door/TokenSource"
import type { AuthProvider, OAuthClientProvider } from "@modelcontextprotocol/client"
import { type Effect, Redacted } from "effect"
import type { Library } from "./internal/library.ts"
import * as OAuth from "./internal/oauth.ts"
import type { Fetch } from "./internal/refresh.ts"
import { tokenProvider } from "./internal/tokenProvider.ts"
import type { TokenStore } from "./TokenStore.ts"

/** A way to be let in by one server. @category models @since 0.1.0 */
export interface Auth {
  /** Begins to be used for a server. */
  readonly open: (library: Library, url: string) => Opened
}

/** @category models @since 0.1.0 */
export interface Opened {
  /** The provider that the official client asks. */
  readonly provider: AuthProvider | OAuthClientProvider
  readonly fetch?: ((fetch: Fetch) => Fetch) | undefined
  /** The address at which a person lets the app in, when one is wanted. */
  readonly pending?: Effect.Effect<URL | undefined> | undefined
  /** Takes the parameters with which the person came back. */
  readonly finish?: ((callback: URLSearchParams, fetch: Fetch) => Effect.Effect<void, unknown>) | undefined
}

/** A token that is known from the start, such as an API key. @category constructors @since 0.1.0 */
export const bearer = (token: Redacted.Redacted): Auth => ({
  open: () => ({ provider: { token: () => Promise.resolve(Redacted.value(token)) } })
})

/**
 * The app itself is the client: its id and secret get tokens of the issuer, and are sent to no other one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const clientCredentials = (options: {
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
  /** The issuer at which the client is registered. Without it the server says who the issuer is. */
  readonly issuer?: string | undefined
  readonly scopes?: ReadonlyArray<string> | undefined
}): Auth => ({
  open: ({ ClientCredentialsProvider }) => ({
    provider: new ClientCredentialsProvider({
      clientId: options.clientId,
      clientSecret: Redacted.value(options.clientSecret),
      ...(options.issuer === undefined ? {} : { expectedIssuer: options.issuer }),
      ...(options.scopes === undefined ? {} : { scope: options.scopes.join(" ") })
    })
  })
})

/**
 * Tokens of a source, such as those of `OAuthTokens.exchange`: a call of a run acts for its caller then, and the connection and
 * the lists of the server, which belong to no run, are the app's own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tokens = (
  source: TokenSource,
  { scopes = [] }: { readonly scopes?: ReadonlyArray<string> | undefined } = {}
): Auth => ({
  open: (_, url) => ({ provider: tokenProvider(source, { resource: url, scopes }) })
})

/** @category options @since 0.1.0 */
export interface OAuthOptions {
  /** The address of the app to which a person comes back; its handler gives the query to `authorized`. */
  readonly redirectUrl: string
  /** The name of the app as people read it. */
  readonly clientName: string
  readonly scopes?: ReadonlyArray<string> | undefined
  /** The client as it was registered at the issuer. Without it the address of a document says who it is, or it registers itself. */
  readonly client?: {
    readonly id: string
    readonly secret?: Redacted.Redacted | undefined
    readonly issuer: string
  } | undefined
  /** The https address of the client's metadata document. */
  readonly clientMetadataUrl?: string | undefined
  /** The place of the tokens and of a client that registered itself. */
  readonly store: TokenStore
  /** Encrypts what is stored; 32 characters at least. */
  readonly key: Redacted.Redacted
}

/**
 * A person lets the app in once: an authorization code with PKCE. Tokens are refreshed and stored encrypted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const oauth = (options: OAuthOptions): Auth => ({
  open: (library, url) => OAuth.open(library, url, options)
})

/** A provider of the official client, such as its `PrivateKeyJwtProvider`. @category constructors @since 0.1.0 */
export const fromProvider = (make: (url: string) => AuthProvider | OAuthClientProvider): Auth => ({
  open: (_, url) => ({ provider: make(url) })
})
