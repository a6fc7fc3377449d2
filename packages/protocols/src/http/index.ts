export * as HttpProtocol from "./HttpProtocol.ts"
