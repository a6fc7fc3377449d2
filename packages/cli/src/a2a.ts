export * from "@fastagentic/protocols/a2a"
export * as Push from "./Push.ts"
