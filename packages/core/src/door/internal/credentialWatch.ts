// Looks again at the credentials of what is open: streams and connections end with the credentials that opened them. One look
// is for all that the same credentials have opened; runHandle.ts and WebSocket connections hold theirs while they are open.
import { Effect, Redacted } from "effect"
import type { Credentials } from "../../run/Credentials.ts"
import { Unauthenticated } from "../../run/RunError.ts"
import type { Auth } from "../Auth.ts"
import { accountDisabled, type Authority } from "./authority.ts"

/** Credentials of something open. `ended` is set once they are not valid any more. */
export interface Held {
  readonly credentials: Credentials
  ended: Unauthenticated | undefined
  /** How much is open with them. */
  count: number
  readonly waiting: Set<() => void>
}

export class CredentialWatch {
  private readonly held = new Map<string, Held>()
  private readonly auth: Auth["Service"]
  private readonly authority: Authority

  constructor(auth: Auth["Service"], authority: Authority) {
    this.auth = auth
    this.authority = authority
  }

  hold(credentials: Credentials): Held {
    const name = nameOf(credentials)
    const known = this.held.get(name)
    if (known !== undefined) {
      known.count++
      return known
    }
    const held: Held = { credentials, ended: undefined, count: 1, waiting: new Set() }
    this.held.set(name, held)
    return held
  }

  release(held: Held) {
    const name = nameOf(held.credentials)
    held.count--
    if (held.count === 0 && this.held.get(name) === held) this.held.delete(name)
  }

  /** Fails once the credentials have ended. */
  until(credentials: Credentials): Effect.Effect<never, Unauthenticated> {
    return Effect.acquireUseRelease(
      Effect.sync(() => this.hold(credentials)),
      (held) =>
        Effect.callback<never, Unauthenticated>((resume) => {
          const notify = () => resume(Effect.fail(held.ended ?? new Unauthenticated({ reason: "they have ended" })))
          if (held.ended !== undefined) return notify()
          held.waiting.add(notify)
          return Effect.sync(() => void held.waiting.delete(notify))
        }),
      (held) => Effect.sync(() => this.release(held))
    )
  }

  /** Looks at all credentials of what is open; whether some have ended. */
  readonly check: Effect.Effect<boolean> = Effect.suspend(() =>
    Effect.map(
      Effect.forEach(this.held.values(), (held) => this.look(held), { concurrency: 16 }),
      (ended) => ended.includes(true)
    )
  )

  /** When nobody can tell whether they are valid, they stay valid. */
  private look(held: Held): Effect.Effect<boolean> {
    return this.auth.authenticate(held.credentials).pipe(
      Effect.filterOrFail(
        (principal) => !this.authority.isDisabled(principal),
        () => new Unauthenticated({ reason: accountDisabled })
      ),
      Effect.matchCause({
        onSuccess: () => false,
        onFailure: (cause) => {
          const reason = cause.reasons.find((reason) => reason._tag === "Fail")?.error
          if (reason === undefined || reason._tag !== "Unauthenticated") return false
          held.ended = reason
          const name = nameOf(held.credentials)
          if (this.held.get(name) === held) this.held.delete(name)
          for (const notify of held.waiting) notify()
          return true
        }
      })
    )
  }
}

const nameOf = ({ apiKey, bearer, forwarded, peer = "" }: Credentials): string =>
  JSON.stringify([
    apiKey === undefined ? "" : Redacted.value(apiKey),
    bearer === undefined ? "" : Redacted.value(bearer),
    forwarded?.clientCert ?? "",
    forwarded?.xfcc ?? "",
    forwarded?.secret === undefined ? "" : Redacted.value(forwarded.secret),
    peer
  ])
