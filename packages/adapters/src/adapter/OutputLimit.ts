/**
 * The limit of the answer to a call.
 *
 * @since 0.1.0
 */
import { Context } from "effect"

/**
 * The most output tokens that a model may answer with, reasoning included. A budget relies on it: a custom model reads it
 * and passes it to its provider.
 *
 * @category references
 * @since 0.1.0
 */
export const OutputLimit: Context.Reference<number | undefined> = Context.Reference<number | undefined>(
  "@fastagentic/adapters/adapter/OutputLimit/OutputLimit",
  { defaultValue: () => undefined }
)
