export * from "@fastagentic/adapters/python"
