export * from "@fastagentic/adapters/evals"
