export type { Certificate } from "./Certificate.ts"
export * as ProxyIdentity from "./ProxyIdentity.ts"
