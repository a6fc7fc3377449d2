export * as HostRules from "./HostRules.ts"
export * as McpStdio from "./McpStdio.ts"
