// Verifies a JWT: signature, issuer, audience, times and type.
import { StoreUnavailable, Unauthenticated } from "@fastagentic/core/run/RunError"
import { Data, Effect, Schema } from "effect"
import * as Jose from "jose"
import { type Claims, refused } from "./claims.ts"
import type { KeySet } from "./keySet.ts"

const decodeClaims = Schema.decodeUnknownEffect(Schema.Record(Schema.String, Schema.Json))

export const isJwt = (token: string): boolean => token.split(".", 4).length === 3

/** The claims of a token whose signature, issuer, audience and times are valid. */
export const verify = Effect.fnUntraced(function*(token: string, keys: KeySet, rules: {
  readonly issuer: string
  readonly audience: string | ReadonlyArray<string>
  readonly algorithms: ReadonlyArray<string>
  readonly toleranceSeconds: number
  /** Whether a token has to call itself an access token. */
  readonly accessTokenType: boolean
  readonly now: () => number
}): Effect.fn.Return<Claims, Unauthenticated | StoreUnavailable> {
  const check = Effect.tryPromise({
    try: () =>
      Jose.jwtVerify(token, keys.resolve, {
        issuer: rules.issuer,
        audience: typeof rules.audience === "string" ? rules.audience : [...rules.audience],
        algorithms: [...rules.algorithms],
        clockTolerance: rules.toleranceSeconds,
        currentDate: new Date(rules.now()),
        requiredClaims: ["exp"]
      }),
    catch: (cause) => new Refused({ cause })
  })
  const { payload, protectedHeader } = yield* check.pipe(
    Effect.catchIf(isUnknownKey, () => Effect.andThen(keys.refresh, check)),
    Effect.mapError((error) =>
      isUnknownKey(error) && !keys.reachable()
        ? new StoreUnavailable({ operation: "read the issuer's keys" })
        : new Unauthenticated({ reason: reasonOf(error) })
    )
  )
  if (!isAccessToken(protectedHeader.typ, rules.accessTokenType)) {
    return yield* refused("the token is not an access token")
  }
  return yield* Effect.catchTag(decodeClaims(payload), "SchemaError", () => refused("the token is not valid"))
})

class Refused extends Data.TaggedError("Refused")<{ readonly cause: unknown }> {}

const isUnknownKey = ({ cause }: Refused) => cause instanceof Jose.errors.JWKSNoMatchingKey

/** RFC 9068 defines a type for access tokens; many issuers send `JWT` or none. */
const isAccessToken = (typ: string | undefined, isRequired: boolean) =>
  isRequired
    ? /^(?:application\/)?at\+jwt$/iu.test(typ ?? "")
    : typ === undefined || /^(?:application\/)?(?:at\+jwt|jwt)$/iu.test(typ)

/** A reason never contains text of the token. */
const reasonOf = (error: Refused) => {
  const { cause } = error
  if (cause instanceof Jose.errors.JWTExpired) return "the token has expired"
  if (isUnknownKey(error)) return "the token is signed with an unknown key"
  if (cause instanceof Jose.errors.JOSEAlgNotAllowed) return "the token is signed in a way that is not allowed"
  if (!(cause instanceof Jose.errors.JWTClaimValidationFailed)) return "the token is not valid"
  switch (cause.claim) {
    case "aud":
      return "the token is for another audience"
    case "iss":
      return "the token is from another issuer"
    case "nbf":
      return "the token is not valid yet"
    default:
      return "the token is not valid"
  }
}
