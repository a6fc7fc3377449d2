export * from "@fastagentic/adapters/guardrails"
