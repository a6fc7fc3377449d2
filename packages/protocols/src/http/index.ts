export * as AppTest from "./AppTest.ts"
export * as Client from "./Client.ts"
export * as WebSocketRoute from "./WebSocketRoute.ts"
