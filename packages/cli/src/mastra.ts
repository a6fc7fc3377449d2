export * from "@fastagentic/adapters/mastra"
