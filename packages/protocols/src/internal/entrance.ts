// The checks of a mount before authentication, for calls that are no HTTP requests of its router: gRPC asks it. Without a mount
// everything is refused.
import { Context } from "effect"
import type { PublicAddress } from "./publicAddress.ts"

/** A call as it stands at the entrance: its headers with `host`, and who is connected. */
export interface Arrival {
  readonly headers: Readonly<Record<string, string>>
  readonly peer: string | undefined
  /** The call came to a port of its own, whose number is not that of the app's addresses. */
  readonly onOwnPort: boolean
}

/** The rule that refuses a call, or the address of the app as the caller reaches it. */
export type Entered = "local" | "host" | "origin" | PublicAddress

export const Entrance = Context.Reference<(arrival: Arrival) => Entered>(
  "@fastagentic/protocols/internal/entrance/Entrance",
  { defaultValue: () => () => "local" }
)
