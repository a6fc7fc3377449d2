// The text of a call that did not work; tools.ts, runtimeTools.ts and Mastra's tools.ts reject with it, for the model to read.
import type * as ToolStep from "../../adapter/ToolStep.ts"

export const reasonOf = ({ denied, result }: ToolStep.Outcome): string =>
  typeof result === "string"
    ? result
    : denied
    ? `The call was denied: ${JSON.stringify(result)}`
    : JSON.stringify(result)
