export * as ConnectionProblem from "./ConnectionProblem.ts"
export * as Mount from "./Mount.ts"
