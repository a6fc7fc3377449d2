export * from "@fastagentic/adapters/otlp"
