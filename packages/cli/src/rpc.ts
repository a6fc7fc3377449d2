export * from "@fastagentic/protocols/rpc"
