export * from "@fastagentic/stores/redis"
