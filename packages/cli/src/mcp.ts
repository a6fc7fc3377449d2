export * from "@fastagentic/adapters/mcp"
