// Programs of a project without our packages, by the tool that typed them. Each prints what it received as one line of JSON;
// a line that must not compile says so.

/** openapi-fetch, with the types of a module: ours, or those that openapi-typescript has generated. */
export const openapiFetch = (types: string) => `
import createClient from "openapi-fetch"
import type { components, paths } from "${types}"

const client = createClient<paths>({ baseUrl: process.argv[2] ?? "" })
const found = await client.POST("/agents/support", { body: { question: "Where is order 1042?" } })
const answer: string | undefined = found.response.status === 200 && found.data !== undefined && "answer" in found.data
  ? found.data.answer
  : undefined
const refused = await client.POST("/agents/support", { body: { question: "" } })
const problem: components["schemas"]["Problem"] | undefined = refused.error
const lost = await client.POST("/agents/support", { body: { question: "7" } })
// @ts-expect-error: the field is "question"
const wrong = await client.POST("/agents/support", { body: { query: "Where?" } })
const { response } = await client.POST("/agents/support/stream", {
  body: { question: "Where is order 1042?" },
  parseAs: "stream"
})
const events = [...(await response.text()).matchAll(/^event: (\\w+)$/gmu)].map(([, type]) => type)
const runs = await client.GET("/runs", { params: { query: { state: "failed" } } })
const agent: string | undefined = runs.data?.items[0]?.agent
console.log(JSON.stringify({
  answer,
  refused: [refused.response.status, problem?.title],
  lost: [lost.response.status, lost.error?.title],
  wrong: wrong.response.status,
  events,
  agent
}))
`

/** The client that @hey-api/openapi-ts generates, with its own reader of server-sent events. */
export const heyApi = `
import { client } from "./hey/client.gen"
import { agentsSupport, agentsSupportStream, runsList } from "./hey/sdk.gen"
import type { Problem } from "./hey/types.gen"

client.setConfig({ baseUrl: process.argv[2] ?? "" })
const found = await agentsSupport({ body: { question: "Where is order 1042?" } })
const answer: string | undefined = found.data !== undefined && "answer" in found.data ? found.data.answer : undefined
const refused = await agentsSupport({ body: { question: "" } })
const problem: Problem | undefined = refused.error
const lost = await agentsSupport({ body: { question: "7" } })
// @ts-expect-error: the field is "question"
const wrong = await agentsSupport({ body: { query: "Where?" } })
const events: Array<string> = []
const { stream } = await agentsSupportStream({
  body: { question: "Where is order 1042?" },
  onSseEvent: ({ event }) => {
    if (event !== undefined) events.push(event)
  }
})
for await (const _ of stream) continue
const runs = await runsList({ query: { state: "failed" } })
const agent: string | undefined = runs.data?.items[0]?.agent
console.log(JSON.stringify({
  answer,
  refused: [refused.response?.status, problem?.title],
  lost: [lost.response?.status, lost.error?.title],
  wrong: wrong.response?.status,
  events,
  agent
}))
`
