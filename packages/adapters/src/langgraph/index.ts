export * as LangGraph from "./LangGraph.ts"
