export * as Egress from "./Egress.ts"
