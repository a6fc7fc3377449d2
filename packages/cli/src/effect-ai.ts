export * from "@fastagentic/adapters/effect-ai"
