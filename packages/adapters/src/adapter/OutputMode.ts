/**
 * How a model gives an answer of a schema.
 *
 * @since 0.1.0
 */
import { Context } from "effect"

/**
 * How a model gives an answer of a schema: as the arguments of a tool, which every model with tools can, or as JSON whose
 * schema its provider enforces. Models with tools give JSON in a request of its own, which `json-without-tools` avoids: it is
 * JSON only where a loop has no tools. The layer of a model sets it.
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = "tool" | "json" | "json-without-tools"

/**
 * The mode of the model in this context.
 *
 * @category references
 * @since 0.1.0
 */
export const OutputMode: Context.Reference<Mode> = Context.Reference<Mode>(
  "@fastagentic/adapters/adapter/OutputMode/OutputMode",
  { defaultValue: () => "tool" }
)
