export * as AgUi from "./AgUi.ts"
export * as AgUiError from "./AgUiError.ts"
