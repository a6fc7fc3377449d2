/**
 * How long the answer to a call may be.
 *
 * @since 0.1.0
 */
import { Context } from "effect"

/**
 * The most output tokens that a model may answer with, reasoning included. A budget relies on it: a model of one's own
 * reads it and tells its provider.
 *
 * @category references
 * @since 0.1.0
 */
export const OutputLimit: Context.Reference<number | undefined> = Context.Reference<number | undefined>(
  "@fastagentic/adapters/adapter/OutputLimit/OutputLimit",
  { defaultValue: () => undefined }
)
