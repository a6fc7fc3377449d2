/**
 * The answer to a message whose id came before.
 *
 * @since 0.1.0
 */
import { Context, Layer } from "effect"

/**
 * `"attach"`, by default: the message starts no second task and decides no second question, and another message under the id
 * is refused as a conflict. `"new"`: each message is a new one, as for servers that know no ids.
 *
 * @category services
 * @since 0.1.0
 */
export const DuplicateMessages = Context.Reference<"attach" | "new">(
  "@fastagentic/protocols/a2a/DuplicateMessages",
  { defaultValue: () => "attach" }
)

/** Takes each message as a new one. @category layers @since 0.1.0 */
export const layerNew: Layer.Layer<never> = Layer.succeed(DuplicateMessages, "new")
