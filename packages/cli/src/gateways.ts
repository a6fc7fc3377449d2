export * from "@fastagentic/adapters/gateways"
