export * from "@fastagentic/adapters/oidc"
