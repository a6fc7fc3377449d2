// Caches valid tokens until they expire; invalidated as a whole when the issuer withdraws a key.
import type { Principal } from "@fastagentic/core/run/Principal"

/** The principal of a token, and its expiry. */
interface Entry {
  readonly principal: Principal
  readonly until: number
}

/** Longer tokens are checked each time. */
const TOKEN_LIMIT = 4_096

/** Caches valid tokens; the oldest are evicted first. */
export class TokenCache {
  readonly #entries = new Map<string, Entry>()
  readonly #capacity: number
  #generation = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Changes whenever the cache is cleared. */
  get generation(): number {
    return this.#generation
  }

  get(token: string, now: number): Principal | undefined {
    const entry = this.#entries.get(token)
    if (entry === undefined) return undefined
    if (now < entry.until) return entry.principal
    this.#entries.delete(token)
    return undefined
  }

  /** Does nothing when the cache was cleared since the check began. */
  set(token: string, entry: Entry, generation: number): void {
    if (token.length > TOKEN_LIMIT || generation !== this.#generation) return
    if (this.#entries.size >= this.#capacity) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest)
        break
      }
    }
    this.#entries.set(token, entry)
  }

  clear(): void {
    this.#generation++
    this.#entries.clear()
  }
}
