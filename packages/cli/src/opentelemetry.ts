export * from "@fastagentic/adapters/opentelemetry"
