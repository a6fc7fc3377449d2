export * from "@fastagentic/adapters/models"
