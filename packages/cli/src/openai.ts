export * from "@fastagentic/adapters/openai"
