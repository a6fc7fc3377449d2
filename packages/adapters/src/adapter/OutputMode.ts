/**
 * How a model gives an answer of a schema.
 *
 * @since 0.1.0
 */
import { Context } from "effect"

/**
 * How a model gives an answer of a schema: as the arguments of a tool, which every model with tools can, or as JSON whose
 * schema its provider enforces. The layer of a model sets it.
 *
 * @category references
 * @since 0.1.0
 */
export const OutputMode: Context.Reference<"tool" | "json"> = Context.Reference<"tool" | "json">(
  "@fastagentic/adapters/adapter/OutputMode/OutputMode",
  { defaultValue: () => "tool" }
)
