export * from "@fastagentic/adapters/ag-ui"
