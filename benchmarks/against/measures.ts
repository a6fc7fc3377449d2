// The questions of a comparison: which server answers them, and with which load. Each checkout serves its own
// `benchmarks/servers`, so the loads here are the contract that all of them keep.
import type { Load } from "../load.ts"
import type { Command } from "../process.ts"

export interface Measure {
  readonly name: string
  readonly load: Load
}

export interface Subject {
  readonly name: string
  readonly command: Command
  /** Whether its store is a database of PostgreSQL. */
  readonly isPostgres?: true
  /** `store` is a file or a database that is thrown away, `issuer` signs the token of the loads. */
  readonly environment: (store: string, issuer: string) => Record<string, string>
  readonly measures: ReadonlyArray<Measure>
}

const text = Array.from({ length: 20 }, (_, i) => `word${i}`).join(" ")
const tool: Load = { path: "/tools/find_order", body: { orderId: 1042 }, expect: "shipped" }

/** Requests that keep nothing, and those that are kept on SQLite. */
export const http: ReadonlyArray<Subject> = [
  {
    name: "http",
    command: "fastagentic",
    environment: () => ({}),
    measures: [
      {
        name: "run of 20 tokens, streamed",
        load: { path: "/agents/echo/stream", body: { text }, expect: "event: done" }
      },
      { name: "run, waited for", load: { path: "/agents/echo", body: { text }, expect: "word19" } },
      { name: "tool call", load: tool }
    ]
  },
  {
    name: "http, SQLite",
    command: "fastagentic",
    environment: (store) => ({ FASTAGENTIC_STORE: store }),
    measures: [
      { name: "durable run, streamed", load: { path: "/agents/kept/stream", body: { text }, expect: "event: done" } },
      { name: "durable run, waited for", load: { path: "/agents/kept", body: { text }, expect: "word19" } },
      { name: "tool call", load: tool }
    ]
  }
]

const walk = (steps: number): Measure => ({
  name: `durable run of ${steps} step${steps === 1 ? "" : "s"}`,
  load: { path: "/agents/walker", body: { steps, millis: 0 }, expect: `${steps}` }
})

const walker = { command: "durable", environment: (store: string) => ({ STORE: store }) } as const

/** Runs of several lengths on both databases. */
export const durable: ReadonlyArray<Subject> = [
  { ...walker, name: "durable, SQLite", measures: [1, 10, 50].map(walk) },
  { ...walker, name: "durable, PostgreSQL", isPostgres: true, measures: [1, 10, 50].map(walk) }
]

/** The hot paths of the whole server. */
export const hotPaths = (token: string): ReadonlyArray<Subject> => [
  ...http,
  {
    name: "door, SQLite",
    command: "door",
    environment: (store, issuer) => ({
      DOOR: "on",
      DURABLE: "yes",
      STORE: store,
      ISSUER: issuer,
      OTEL_SDK_DISABLED: "true"
    }),
    measures: [{
      name: "durable run behind the whole door",
      load: {
        path: "/agents/echo",
        body: { text: "hello" },
        expect: "hello",
        headers: { authorization: `Bearer ${token}` }
      }
    }]
  },
  { ...walker, name: "durable, SQLite", measures: [walk(10)] }
]
