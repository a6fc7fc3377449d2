export * as Functions from "./Functions.ts"
