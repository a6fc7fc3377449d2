export * from "@fastagentic/stores/blob"
