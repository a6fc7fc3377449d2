/**
 * The addresses of hosts for protocols that open their own connections.
 *
 * @since 0.1.0
 */
import { Context, type Effect, Schema } from "effect"

/** A host has an address that must not be reached. @category errors @since 0.1.0 */
export class HostRefused extends Schema.TaggedError<HostRefused>()("HostRefused", {
  rule: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return this.reason
  }
}

/**
 * Gives the addresses of a name, or of a literal address, all of which may be reached; none when the name is not known now. A
 * connection goes to one of these addresses, so that a later change of the name has no effect.
 *
 * @category models
 * @since 0.1.0
 */
export type Lookup = (hostname: string) => Effect.Effect<ReadonlyArray<string>, HostRefused>

/**
 * `Egress` provides one that refuses internal networks, beside its `HttpClient`. Without it every address may be reached.
 *
 * @category services
 * @since 0.1.0
 */
export const HostLookup: Context.Reference<Lookup | undefined> = Context.Reference<Lookup | undefined>(
  "@fastagentic/core/base/HostLookup",
  { defaultValue: () => undefined }
)
