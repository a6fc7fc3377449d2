export * from "@fastagentic/adapters/functions"
