import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { join } from "node:path"
import { collect, type Seen } from "./collector.ts"
import { fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

const serve = async (env: Record<string, string>, store = "traced.db") => {
  const server = fastagentic(["run", fixture("traced.ts"), "--mode", "http", "--port", "0", "--store", store], {
    env: {
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_BSP_SCHEDULE_DELAY: "50",
      OTEL_BLRP_SCHEDULE_DELAY: "50",
      ...env
    }
  })
  const url = await listening(server)
  const stop = async () => {
    server.child.kill("SIGTERM")
    return await server.exited
  }
  return { url, stop, stderr: server.stderr }
}

const post = async (url: string, body: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
    body: JSON.stringify(body)
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

const get = async (url: string) => await (await fetch(url)).json()

const until = async (condition: () => Promise<boolean>) => {
  for (let i = 0; i < 600; i++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail("it never came to be")
}

let traces = 0

/** The client's position in a trace of its own. */
const place = () => {
  const traceId = (++traces).toString(16).padStart(32, "a")
  const spanId = "b7ad6b7169203331"
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` }
}

/** The names from the root to the span. */
const pathOf = (spans: ReadonlyArray<Seen>, span: Seen): ReadonlyArray<string> => {
  const parent = spans.find(({ spanId }) => spanId === span.parentSpanId)
  return [...(parent === undefined ? [] : pathOf(spans, parent)), span.name]
}

const treeOf = (all: ReadonlyArray<Seen>, traceId: string) => {
  const spans = all.filter((span) => span.traceId === traceId)
  const roots = spans.filter(({ parentSpanId }) => !spans.some(({ spanId }) => spanId === parentSpanId))
  return { spans, roots, paths: new Set(spans.map((span) => pathOf(spans, span).join(" > "))) }
}

const called = [
  "authorize",
  "limit",
  "admit > store.commit",
  "invoke_agent asker > budget",
  "invoke_agent asker > ModelLoop.run > turn > chat big-1",
  "invoke_agent asker > ModelLoop.run > turn > execute_tool look_up",
  "invoke_agent asker > ModelLoop.run > turn > checkpoint > store.commit"
]

describe("telemetry", () => {
  it("a call is one trace from the caller to the store, over REST, MCP, A2A and WebSocket", async () => {
    const collector = await collect()
    const server = await serve({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: "x-team=agents%20one",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test"
    })
    const { url } = server
    const [rest, sse, mcp, a2a, websocket] = [place(), place(), place(), place(), place()]
    const answered = await post(`${url}/agents/asker`, { text: "?" }, { traceparent: rest.traceparent })
    assert.strictEqual(answered.status, 200, answered.text)
    assert.strictEqual(answered.headers.get("x-trace-id"), rest.traceId)
    await post(`${url}/agents/asker/stream`, { text: "?" }, { traceparent: sse.traceparent })
    const tool = await post(`${url}/mcp`, {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name: "asker",
        arguments: { text: "?" },
        _meta: {
          traceparent: mcp.traceparent,
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientCapabilities": {}
        }
      }
    }, { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "asker" })
    assert.include(tool.text, "a secret answer")
    const message = { messageId: "m1", role: "ROLE_USER", parts: [{ text: "{\"text\":\"?\"}" }] }
    const task = await post(
      `${url}/a2a/asker`,
      { jsonrpc: "2.0", id: 1, method: "SendMessage", params: { message } },
      { "a2a-version": "1.0", traceparent: a2a.traceparent }
    )
    assert.include(task.text, "TASK_STATE_COMPLETED")
    const socket = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`, {
      headers: { traceparent: websocket.traceparent }
    })
    await once(socket, "open")
    const ended = new Promise<void>((resolve) =>
      socket.on("message", (data) => String(data).includes("\"end\"") ? resolve() : undefined)
    )
    socket.send(JSON.stringify({ id: "1", op: "start", agent: "asker", payload: { text: "?" } }))
    await ended
    socket.close()
    await once(socket, "close")
    await server.stop()
    collector.close()
    assert.deepStrictEqual(collector.problems, [])

    const entries = { POST: [rest, sse, a2a], "tools/call": [mcp], GET: [websocket] }
    for (const [root, places] of Object.entries(entries)) {
      for (const { spanId, traceId } of places) {
        const { paths, roots } = treeOf(collector.spans, traceId)
        const names = roots.map(({ kind, name, parentSpanId }) => ({ kind, name, parentSpanId }))
        assert.deepStrictEqual(names, [{ kind: 2, name: root, parentSpanId: spanId }])
        assert.includeMembers([...paths], called.map((path) => `${root} > ${path}`))
      }
    }
    const authentications = ({ traceId }: { readonly traceId: string }) =>
      treeOf(collector.spans, traceId).spans.filter(({ name }) => name === "authenticate").length
    // A request is authenticated once; a socket when it opens and with each frame; MCP in the request that carries the call,
    // which is in another trace than the call here.
    assert.deepStrictEqual([rest, sse, a2a, mcp, websocket].map(authentications), [1, 1, 1, 0, 2])
    assert.strictEqual(collector.spans.filter(({ name }) => name === "authenticate").length, 6)
    const { paths, spans } = treeOf(collector.spans, rest.traceId)
    assert.isAtMost(spans.filter(({ name }) => name === "store.commit").length, 12)
    assert.strictEqual(paths.has("POST > stream"), false)
    const chat = spans.findLast(({ name }) => name === "chat big-1")
    assert.containSubset(chat, {
      kind: 3,
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "lab",
        "gen_ai.request.model": "big-1",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3
      },
      resource: {
        "service.name": "traced",
        "service.version": "1.2.3",
        "deployment.environment.name": "test"
      }
    })
    assert.isTrue(treeOf(collector.spans, sse.traceId).paths.has("POST > stream"))
    assert.isTrue(collector.headers.every((team) => team === "agents one"))
    assert.include(collector.metrics.join(""), "fastagentic_tokens_total")
  }, 60_000)

  it(
    "is one trace from the request over a tool to a delegated run, and on in the process that comes after",
    async () => {
      const collector = await collect()
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }
      const store = join(temporaryFolder(), "traced.db")
      const asked = place()
      const first = await serve(env, store)
      const started = await post(`${first.url}/agents/boss/runs`, {}, { traceparent: asked.traceparent })
      const { runId } = JSON.parse(started.text)
      await until(async () => (await get(`${first.url}/runs/${runId}`)).state === "suspended")
      const { items: [child] } = await get(`${first.url}/runs?parentRunId=${runId}`)
      await first.stop()
      const second = await serve({ ...env, TURNS_BEFORE: "1" }, store)
      const { items: [interrupt] } = await get(`${second.url}/runs/${child.runId}/interrupts`)
      const answering = place()
      const answer = await post(
        `${second.url}/runs/${child.runId}/interrupts/${interrupt.id}`,
        { decision: "approve", value: true },
        { traceparent: answering.traceparent }
      )
      // 200 shows a run that has ended by then, 202 one that continues.
      const { state } = JSON.parse(answer.text)
      assert.include(["running", "completed"], state)
      assert.strictEqual(answer.status, state === "completed" ? 200 : 202, answer.text)
      await until(async () => (await get(`${second.url}/runs/${runId}`)).state === "completed")
      await second.stop()
      collector.close()
      assert.deepStrictEqual(collector.problems, [])

      const { paths, roots, spans } = treeOf(collector.spans, asked.traceId)
      assert.deepStrictEqual(roots.map(({ name, parentSpanId }) => ({ name, parentSpanId })), [
        { name: "POST", parentSpanId: asked.spanId }
      ])
      const tool = "POST > invoke_agent boss > ModelLoop.run > turn > execute_tool hand_over"
      assert.includeMembers([...paths], [
        "POST > invoke_agent boss > ModelLoop.run > turn > chat big-2",
        `${tool} > admit > store.commit`,
        `${tool} > invoke_agent waiter > checkpoint > store.commit`
      ])
      for (const name of ["invoke_agent boss", "invoke_agent waiter"]) {
        const segments = spans.filter((span) => span.name === name)
        assert.deepStrictEqual(segments.map(({ attributes }) => Number(attributes["fastagentic.run.attempt"])), [1, 2])
        assert.strictEqual(segments[0]?.parentSpanId, segments[1]?.parentSpanId)
      }
      // The request that resumed the child has a trace of its own.
      const [, goesOn] = spans.filter(({ name }) => name === "invoke_agent waiter")
      assert.deepStrictEqual(goesOn?.links.map(({ traceId }) => traceId), [answering.traceId])
    },
    60_000
  )

  it("no content of requests, answers or credentials is exported", async () => {
    const collector = await collect()
    const server = await serve({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    const shown = {
      authorization: "Bearer a-secret-token",
      cookie: "session=secret",
      "user-agent": "secret/1.0",
      "x-api-key": "fak_secret",
      "idempotency-key": "secret"
    }
    const { status, text } = await post(`${server.url}/agents/asker`, { text: "secret" }, shown)
    assert.strictEqual(status, 200, text)
    await post(`${server.url}/agents/asker?then=secret`, { text: "secret" })
    await post(`${server.url}/agents/broken`, {})
    await post(`${server.url}/secret/${"x".repeat(10)}?q=secret`, "secret", shown)
    await post(`${server.url}/mcp`, { jsonrpc: "2.0", id: "secret", method: "secret", params: { secret: 1 } }, shown)
    const page = await fetch(`${server.url}/resources/page/secret`, { headers: shown })
    assert.include(await page.text(), "a secret page")
    await server.stop()
    collector.close()
    assert.deepStrictEqual(collector.problems, [])
    const { spans } = collector
    const names = spans.map(({ name }) => name)
    assert.includeMembers(names, ["chat big-1", "execute_tool look_up", "invoke_agent broken", "GET"])
    assert.include(collector.lines.map(({ attributes }) => attributes["exception.type"]), "TypeError")
    assert.isNotEmpty(collector.metrics)
    assert.deepStrictEqual(collector.raw.join("").match(/.{0,60}secret.{0,60}/gu) ?? [], [])
  }, 60_000)

  it("a failure is exported by kind only, and logs carry the trace", async () => {
    const collector = await collect()
    const server = await serve({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    const asked = place()
    await post(`${server.url}/agents/broken`, {}, { traceparent: asked.traceparent })
    await server.stop()
    collector.close()
    const { spans } = treeOf(collector.spans, asked.traceId)
    const run = spans.find(({ name }) => name === "invoke_agent broken")
    assert.containSubset(run, {
      status: { code: 2, message: "InternalError" },
      attributes: { "error.type": "InternalError", "fastagentic.run.state": "failed" }
    })
    const line = collector.lines.find(({ body }) => body === "about to fail")
    assert.containSubset(line, {
      traceId: asked.traceId,
      attributes: { traceId: asked.traceId, runId: run?.attributes["fastagentic.run.id"] }
    })
    const printed = server.stderr().split("\n").find((line) => line.includes("about to fail")) ?? ""
    assert.include(printed, `traceId=${asked.traceId}`)
    assert.include(printed, `spanId=`)
    assert.include(printed, `runId=`)
  }, 60_000)

  it("the caller's decision and the sampler select the recorded traces", async () => {
    const collector = await collect()
    const off = await serve({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_TRACES_SAMPLER: "parentbased_always_off"
    })
    const [recorded, ignored] = [place(), place()]
    await post(`${off.url}/agents/asker`, { text: "?" }, { traceparent: recorded.traceparent })
    await post(`${off.url}/agents/asker`, { text: "?" }, { traceparent: ignored.traceparent.replace(/01$/u, "00") })
    await post(`${off.url}/agents/asker`, { text: "?" })
    await off.stop()
    const disabled = await serve({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SDK_DISABLED: "true" })
    const before = collector.requests()
    await post(`${disabled.url}/agents/asker`, { text: "?" })
    await disabled.stop()
    collector.close()
    assert.strictEqual(collector.requests(), before)
    assert.deepStrictEqual(new Set(collector.spans.map(({ traceId }) => traceId)), new Set([recorded.traceId]))
  }, 60_000)

  for (const how of ["down", "hangs"] as const) {
    it(
      `loses what a collector that ${how === "down" ? "is down" : how} does not take, counts it, and stops in time`,
      async () => {
        const collector = await collect(how === "down" ? "answers" : "hangs")
        if (how === "down") collector.close()
        const server = await serve({
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
          OTEL_BSP_MAX_QUEUE_SIZE: "16",
          OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "8"
        })
        for (let i = 0; i < 10; i++) {
          const { status, text } = await post(`${server.url}/agents/asker`, { text: "?" })
          assert.strictEqual(status, 200, text)
        }
        const metrics = await (await fetch(`${server.url}/metrics`)).text()
        const lost = /^fastagentic_telemetry_lost_total\{signal="traces",destination="collector"\} (\d+)$/mu.exec(
          metrics
        )?.[1]
        assert.isAbove(Number(lost), 100)
        // With a refusing or hanging collector the last export is bounded: the process exits.
        assert.strictEqual(await server.stop(), 0)
        assert.include(server.stderr(), "Telemetry is lost")
        collector.close()
      },
      60_000
    )
  }
})
