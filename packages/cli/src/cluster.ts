export * from "@fastagentic/stores/cluster"
