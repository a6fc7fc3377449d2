export * from "@fastagentic/stores/postgres"
