// Vitest's global setup of the projects whose tests need a database: one server of each kind for the whole run, in the
// variables that a user may set instead. Every file has databases or prefixes of its own in it.
import { Effect, Redacted } from "effect"
import * as Postgres from "./postgres/process.ts"
import * as Redis from "./redis/process.ts"

const postgres = "FASTAGENTIC_TEST_POSTGRES_URL"
const oursVariable = "FASTAGENTIC_TEST_POSTGRES_OURS"
const templateVariable = "FASTAGENTIC_TEST_POSTGRES_TEMPLATE"

const services = [
  { variable: postgres, ...Postgres },
  { variable: "FASTAGENTIC_TEST_REDIS_URL", ...Redis }
]

export const setup = async () => {
  const started = await Promise.all(
    services.filter(({ isInstalled, variable }) => isInstalled && process.env[variable] === undefined)
      .map(async ({ Server, variable }) => {
        const server = await Server.make()
        process.env[variable] = Redacted.value(server.url)
        return { server, variable }
      })
  )
  const isOurs = started.some(({ variable }) => variable === postgres)
  if (isOurs) process.env[oursVariable] = "1"
  const url = process.env[postgres]
  const template = url === undefined || process.env[templateVariable] !== undefined
    ? undefined
    : { url: Redacted.make(url), name: await Effect.runPromise(Postgres.makeTemplate(Redacted.make(url))) }
  if (template !== undefined) process.env[templateVariable] = template.name
  return async () => {
    if (isOurs) delete process.env[oursVariable]
    if (template !== undefined) {
      delete process.env[templateVariable]
      await Effect.runPromise(Postgres.execute(template.url, `DROP DATABASE ${template.name}`))
    }
    await Promise.all(started.map(({ server, variable }) => {
      delete process.env[variable]
      return server.remove()
    }))
  }
}
