export * as MastraAgents from "./MastraAgents.ts"
export * as MastraWorkflows from "./MastraWorkflows.ts"
