export * as Oidc from "./Oidc.ts"
