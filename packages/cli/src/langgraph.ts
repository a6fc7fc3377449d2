export * from "@fastagentic/adapters/langgraph"
