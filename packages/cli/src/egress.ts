export * from "@fastagentic/adapters/egress"
