export * as AppRpc from "./AppRpc.ts"
