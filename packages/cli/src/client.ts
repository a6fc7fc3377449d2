/**
 * The typed client with what declares an app, for browsers, workers and other places without a server.
 *
 * @since 0.1.0
 */
export { Agent, App, Credentials, Event, Interrupt, PromptTemplate, Resource, RunRecord } from "@fastagentic/core"
export { Client } from "@fastagentic/protocols/client"
