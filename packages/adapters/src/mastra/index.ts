export * as MastraAgents from "./MastraAgents.ts"
