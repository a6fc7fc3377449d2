export * from "@fastagentic/adapters/observability"
