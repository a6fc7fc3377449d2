/**
 * The port to what other nodes write.
 *
 * @since 0.1.0
 */
import { Context, Stream } from "effect"

/**
 * `Changed` says that a commit took a run to this number. `Missed` says that notices may have been lost before it:
 * whatever is followed has to be read again.
 *
 * @category models
 * @since 0.1.0
 */
export type Notice =
  | { readonly _tag: "Changed"; readonly runId: string; readonly seq: number }
  | { readonly _tag: "Missed" }

/**
 * Notices of the commits in a store that many nodes share, this node's own commits included. The journal has the data: a
 * notice says only where to look.
 *
 * **Details**
 *
 * There is one notice per commit, none for an admission. A commit can be read when its notice arrives. The stream
 * begins with `Missed`, when notices can arrive, has it again whenever it was cut off, and never fails.
 *
 * The default has no other nodes.
 *
 * @category services
 * @since 0.1.0
 */
export const RunNotifier: Context.Reference<{ readonly changes: Stream.Stream<Notice> }> = Context.Reference<{
  readonly changes: Stream.Stream<Notice>
}>("@fastagentic/core/store/RunNotifier", { defaultValue: () => ({ changes: Stream.empty }) })
