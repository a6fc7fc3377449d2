/**
 * Everything an app needs: declare it, provide its handlers, serve it.
 *
 * @since 0.1.0
 */
export * from "@fastagentic/core"
export { Client } from "@fastagentic/protocols/http"
export { Mount } from "@fastagentic/protocols/mount"
export { Sqlite } from "@fastagentic/stores/sqlite"
export * as Defaults from "./Defaults.ts"
export * as Server from "./Server.ts"
