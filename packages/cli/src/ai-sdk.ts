export * from "@fastagentic/adapters/ai-sdk"
