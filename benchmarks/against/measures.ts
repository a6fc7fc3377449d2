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
  /** `file` is a path in a folder that is thrown away, `issuer` signs the token of the loads. */
  readonly environment: (file: string, issuer: string) => Record<string, string>
  readonly measures: ReadonlyArray<Measure>
}

const text = Array.from({ length: 20 }, (_, i) => `word${i}`).join(" ")
const tool: Load = { path: "/tools/find_order", body: { orderId: 1042 }, expect: "shipped" }

export const subjects = (token: string): ReadonlyArray<Subject> => [
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
    environment: (file) => ({ FASTAGENTIC_STORE: file }),
    measures: [
      { name: "durable run, streamed", load: { path: "/agents/kept/stream", body: { text }, expect: "event: done" } },
      { name: "durable run, waited for", load: { path: "/agents/kept", body: { text }, expect: "word19" } },
      { name: "tool call", load: tool }
    ]
  },
  {
    name: "door, SQLite",
    command: "door",
    environment: (file, issuer) => ({
      DOOR: "on",
      DURABLE: "yes",
      STORE: file,
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
  {
    name: "durable, SQLite",
    command: "durable",
    environment: (file) => ({ STORE: file }),
    measures: [{
      name: "durable run of 10 steps",
      load: { path: "/agents/walker", body: { steps: 10, millis: 0 }, expect: "10" }
    }]
  }
]
