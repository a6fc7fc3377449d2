export * as ReactClient from "./ReactClient.ts"
