import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { AppTest } from "fastagentic/testing"
import { once } from "node:events"
import { createServer } from "node:http"
import desk from "./app.ts"

/** Every vendor at one address, and what each is asked. */
const vendors = Effect.acquireRelease(
  Effect.promise(async () => {
    const paths: Array<string> = []
    const server = createServer((request, response) => {
      const path = request.url ?? ""
      paths.push(path)
      request.resume()
      const answer = path === "/v2/guard"
        ? { flagged: false }
        : path === "/moderations"
        ? { results: [{ flagged: false, categories: {} }] }
        : path.endsWith("/validate")
        ? { validationPassed: true }
        : path === "/beta/litellm_basic_guardrail_api"
        ? { action: "NONE" }
        : path === "/v1/checks"
        ? { status: "passed" }
        : path.startsWith("/sessions")
        ? [{ id: "s" }]
        : path === "/api/public/ingestion"
        ? { errors: [] }
        : path === "/v1/project"
        ? { id: "p" }
        : {}
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer))
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    return {
      paths,
      server,
      url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
    }
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.closeAllConnections()
      server.close()
    })
)

/** The variable that switches each integration on, with those that bring it to the fake, and a path that it asks. */
const integrations = (
  url: string
): ReadonlyArray<readonly [env: Record<string, string>, paths: ReadonlyArray<string>]> => [
  [{ LANGFUSE_SECRET_KEY: "k", LANGFUSE_PUBLIC_KEY: "p", LANGFUSE_BASE_URL: url }, [
    "/api/public/otel/v1/traces",
    "/api/public/ingestion"
  ]],
  [{ LOGFIRE_TOKEN: "k", LOGFIRE_BASE_URL: url }, ["/v1/traces"]],
  [{ DD_API_KEY: "k", DD_LLMOBS_OTLP_ENDPOINT: `${url}/dd` }, ["/dd/v1/traces"]],
  [{ BRAINTRUST_API_KEY: "k", BRAINTRUST_API_URL: url }, ["/otel/v1/traces", "/v1/project_logs/p/insert"]],
  [{ LANGSMITH_API_KEY: "k", LANGSMITH_ENDPOINT: `${url}` }, ["/otel/v1/traces", "/feedback"]],
  [{ PHOENIX_COLLECTOR_ENDPOINT: `${url}/phoenix` }, ["/phoenix/v1/traces"]],
  [{ LAKERA_API_KEY: "k", LAKERA_BASE_URL: url }, ["/v2/guard"]],
  [{ OPENAI_MODERATION_API_KEY: "k", OPENAI_MODERATION_BASE_URL: url }, ["/moderations"]],
  [{ GUARDRAILS_AI_URL: url, GUARDRAILS_AI_GUARD: "g" }, ["/guards/g/validate"]],
  [{ NEMO_GUARDRAILS_URL: url, NEMO_GUARDRAILS_CONFIG: "c" }, ["/v1/checks"]],
  [{ GUARDRAIL_URL: url }, ["/beta/litellm_basic_guardrail_api"]]
]

const askWith = (env: Record<string, string>) =>
  Effect.scoped(Effect.gen(function*() {
    const client = yield* AppTest.client(desk)
    return yield* client.agents.support({ question: "Where is order 1042?" })
  })).pipe(
    Effect.provideService(
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromEnv({ env: { INTEGRATIONS_ALLOW: "127.0.0.1", OTEL_BSP_SCHEDULE_DELAY: "50", ...env } })
    )
  )

const until = (condition: () => boolean) =>
  Effect.gen(function*() {
    for (let i = 0; i < 200 && !condition(); i++) yield* Effect.sleep(25)
    return condition()
  })

describe("an app with every integration", () => {
  it.live("asks nobody while no variable is set", () =>
    Effect.gen(function*() {
      const { paths } = yield* vendors
      assert.isString(yield* askWith({}))
      assert.deepStrictEqual(paths, [])
    }))

  it.live("asks each with its own variable alone, and all of them at once", () =>
    Effect.gen(function*() {
      const { paths, url } = yield* vendors
      const all = integrations(url)
      for (const [env, expected] of all) {
        paths.length = 0
        assert.isString(yield* askWith(env))
        yield* until(() => expected.every((path) => paths.includes(path)))
        assert.includeMembers(paths, [...expected])
        const others = all.flatMap(([, paths]) => paths).filter((path) => !expected.includes(path))
        assert.deepStrictEqual(paths.filter((path) => others.includes(path)), [])
      }
      paths.length = 0
      assert.isString(yield* askWith(Object.assign({}, ...all.map(([env]) => env))))
      assert.isTrue(yield* until(() => all.flatMap(([, paths]) => paths).every((path) => paths.includes(path))))
    }), 60_000)
})
