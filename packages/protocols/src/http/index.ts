export * as HttpProtocol from "./HttpProtocol.ts"
export * as WebSocketRoute from "./WebSocketRoute.ts"
