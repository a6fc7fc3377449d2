// The typed client apart from the server and its tests, so that a bundler of a page meets no module of Node.
export * as Client from "../http/Client.ts"
