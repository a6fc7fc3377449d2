export * from "@fastagentic/adapters/proxy"
