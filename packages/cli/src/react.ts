/**
 * React hooks over the typed client: runs that outlive a reload of their page, threads, and decisions.
 *
 * @since 0.1.0
 */
export * from "@fastagentic/protocols/react"
