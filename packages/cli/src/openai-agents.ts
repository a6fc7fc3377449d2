export * from "@fastagentic/adapters/openai-agents"
