export * from "@fastagentic/adapters/adapter"
