export * as ClaudeAgents from "./ClaudeAgents.ts"
export * as ClaudeError from "./ClaudeError.ts"
