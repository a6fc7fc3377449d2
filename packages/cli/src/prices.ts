export * from "@fastagentic/adapters/prices"
