// The app's side of an OAuth authorization with one server, as the official client asks for it. All that it has to remember is one
// encrypted record, read anew each time, so that any node of the app goes on with it. McpAuth.oauth opens it.
import type { OAuthClientProvider } from "@modelcontextprotocol/client"
import { Effect, Redacted, Semaphore } from "effect"
import { createHash, randomBytes } from "node:crypto"
import type { OAuthOptions, Opened } from "../McpAuth.ts"
import { RemoteUnauthorized } from "../RemoteError.ts"
import type { Library } from "./library.ts"
import { type Fetch, refreshOnce } from "./refresh.ts"
import { makeSeal } from "./seal.ts"

type Method<Name extends keyof OAuthClientProvider> = NonNullable<OAuthClientProvider[Name]>
type Argument<Name extends keyof OAuthClientProvider> = Method<Name> extends
  (first: infer A, ...rest: never) => unknown ? A
  : never

/** An authorization that a person has been asked for. */
interface Pending {
  readonly url: string
  readonly verifier: string
  readonly at: number
}

interface Stored {
  readonly tokens?: Argument<"saveTokens">
  /** The clients that the app has registered, by their issuers. */
  readonly clients: { readonly [issuer: string]: Argument<"saveClientInformation"> }
  readonly discovery?: Argument<"saveDiscoveryState">
  /** By their states. */
  readonly pending: { readonly [state: string]: Pending }
}

/** A person has so long to come back. */
const tries = 60 * 60_000

export const open = (library: Library, server: string, options: OAuthOptions): Opened => {
  const { client, clientMetadataUrl, clientName, redirectUrl, scopes, store } = options
  const seal = makeSeal(options.key, server)
  const [turn, finishing] = [Semaphore.makeUnsafe(1), Semaphore.makeUnsafe(1)]
  /** Verifiers that belong to no address yet, by their challenges. */
  const verifiers = new Map<string, string>()
  let [redeemed, refreshed]: [string | undefined, string | undefined] = [undefined, undefined]

  const read = Effect.map(store.load, (bytes): Stored =>
    // cast: only this file writes the record, and nothing else can have sealed it.
    bytes === undefined ? { clients: {}, pending: {} } : JSON.parse(seal.open(bytes)) as Stored)
  const change = (edit: (stored: Stored) => Stored) =>
    Effect.runPromise(
      turn.withPermits(1)(Effect.flatMap(read, (stored) => store.save(seal.seal(JSON.stringify(edit(stored))))))
    )
  const now = () => Effect.runPromise(read)

  const provider: OAuthClientProvider = {
    redirectUrl,
    ...(clientMetadataUrl === undefined ? {} : { clientMetadataUrl }),
    clientMetadata: {
      client_name: clientName,
      redirect_uris: [redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      ...(scopes === undefined ? {} : { scope: scopes.join(" ") })
    },
    state: () => randomBytes(24).toString("base64url"),
    clientInformation: async (context) => {
      if (client !== undefined) {
        const { id, issuer, secret } = client
        return { client_id: id, issuer, ...(secret === undefined ? {} : { client_secret: Redacted.value(secret) }) }
      }
      const { clients } = await now()
      const issuer = context?.issuer ?? ""
      return Object.hasOwn(clients, issuer) ? clients[issuer] : undefined
    },
    saveClientInformation: (information, context) =>
      change((stored) => ({ ...stored, clients: { ...stored.clients, [context?.issuer ?? ""]: information } })),
    tokens: async () => {
      const { tokens } = await now()
      refreshed = tokens?.refresh_token
      return tokens
    },
    saveTokens: (tokens) => change((stored) => ({ ...stored, tokens })),
    saveCodeVerifier: (verifier) => {
      if (verifiers.size > 100) verifiers.clear()
      verifiers.set(createHash("sha256").update(verifier).digest("base64url"), verifier)
    },
    codeVerifier: () => redeemed ?? "",
    redirectToAuthorization: (url) => {
      const verifier = verifiers.get(url.searchParams.get("code_challenge") ?? "")
      const state = url.searchParams.get("state")
      if (verifier === undefined || state === null) return
      return change((stored) => ({
        ...stored,
        pending: { ...recent(stored.pending), [state]: { url: url.href, verifier, at: Date.now() } }
      }))
    },
    saveDiscoveryState: (discovery) => change((stored) => ({ ...stored, discovery })),
    // An authorization ends with the issuer that it began with; any other request asks the server again who that is.
    discoveryState: async () => redeemed === undefined ? undefined : (await now()).discovery,
    invalidateCredentials: (scope) =>
      change((stored) => {
        // Another node may have refreshed meanwhile: then the refused token is not the stored one.
        const isOurs = stored.tokens?.refresh_token === refreshed
        const { discovery, tokens, ...rest } = stored
        const isGone = (one: typeof scope) => scope === one || scope === "all"
        return {
          ...rest,
          ...(isGone("client") ? { clients: {} } : {}),
          ...(tokens === undefined || (isGone("tokens") && isOurs) ? {} : { tokens }),
          ...(discovery === undefined || isGone("discovery") ? {} : { discovery })
        }
      })
  }

  const unfinished = (problem: string) => new RemoteUnauthorized({ server, problem })

  const finish = (callback: URLSearchParams, fetch: Fetch) =>
    Effect.gen(function*() {
      const state = callback.get("state") ?? ""
      const { pending } = yield* read
      const asked = Object.hasOwn(recent(pending), state) ? pending[state] : undefined
      if (asked === undefined) {
        return yield* unfinished("the state belongs to no authorization that was asked for")
      }
      const [code, iss] = [callback.get("code"), callback.get("iss")]
      // The words of the callback are not repeated: anybody may have written them.
      if (code === null) return yield* unfinished("the person came back without a code")
      redeemed = asked.verifier
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          redeemed = undefined
        })
      )
      yield* Effect.tryPromise(() =>
        library.auth(provider, {
          serverUrl: server,
          authorizationCode: code,
          ...(iss === null ? {} : { iss }),
          fetchFn: fetch
        })
      ).pipe(Effect.mapError(({ cause }) => cause))
      yield* Effect.promise(() => change((stored) => ({ ...stored, pending: {} })))
    }).pipe(Effect.scoped, finishing.withPermits(1))

  return {
    provider,
    fetch: refreshOnce,
    pending: Effect.map(read, ({ pending }) => {
      const [last] = Object.values(recent(pending)).toSorted((a, b) => b.at - a.at)
      return last === undefined ? undefined : new URL(last.url)
    }).pipe(Effect.orElseSucceed(() => undefined)),
    finish
  }
}

const recent = (pending: Stored["pending"]): Stored["pending"] =>
  Object.fromEntries(Object.entries(pending).filter(([, { at }]) => Date.now() - at < tries).slice(-10))
