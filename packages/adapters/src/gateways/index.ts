export * as ModelLimits from "./ModelLimits.ts"
