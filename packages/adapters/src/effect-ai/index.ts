export * as DefaultModel from "./DefaultModel.ts"
export * as ModelLoop from "./ModelLoop.ts"
export * as OfflineModel from "./OfflineModel.ts"
export * as ScriptedModel from "./ScriptedModel.ts"
