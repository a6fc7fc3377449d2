export * as McpAuth from "./McpAuth.ts"
export * as McpRemote from "./McpRemote.ts"
export * as RemoteDefinition from "./RemoteDefinition.ts"
export * as RemoteError from "./RemoteError.ts"
