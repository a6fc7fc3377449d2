export * as McpStdio from "./McpStdio.ts"
