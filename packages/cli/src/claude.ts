export * from "@fastagentic/adapters/claude"
