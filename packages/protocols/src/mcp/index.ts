export * as McpProtocol from "./McpProtocol.ts"
export * as McpStdio from "./McpStdio.ts"
