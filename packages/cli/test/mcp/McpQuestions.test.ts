import { assert, describe, it } from "@effect/vitest"
import { inputRequired } from "@modelcontextprotocol/server"
import { Effect, type Schema } from "effect"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { temporaryFolder } from "../process.ts"
import { deciding, loopback, openOffice, Shop } from "./desk.ts"
import { type RemoteTool, said, serveRemote, type World } from "./remoteServer.ts"

const silent = deciding(() => "")

const direct = (question: string) =>
  Effect.flatMap(Shop, (shop) =>
    Effect.match(shop.call(question), {
      onSuccess: (content): Schema.Json => JSON.parse(JSON.stringify(content)),
      onFailure: ({ _tag, message }): Schema.Json => ({ _tag, message })
    }))

const free = { name: "free", inputSchema: { type: "object" }, annotations: { destructiveHint: false } }

const sure = {
  message: "Really?",
  requestedSchema: { type: "object" as const, properties: { sure: { type: "boolean" as const } } }
}

/** Asks its client until it has an answer, then works. */
const asking = (worked: Array<string>): RemoteTool => ({
  definition: free,
  work: (_, { mcpReq: { inputResponses } }) => {
    const answer = inputResponses?.["sure"]
    if (answer === undefined) return inputRequired({ inputRequests: { sure: inputRequired.elicit(sure) } })
    worked.push(JSON.stringify(answer))
    return said(JSON.stringify(answer))
  }
})

const worldOf = (...tools: World["tools"]): World => ({ tools, begun: [] })

describe("a question of an MCP server", () => {
  it.live("is an interrupt of the run, whose answer the server gets", () =>
    Effect.scoped(Effect.gen(function*() {
      const worked: Array<string> = []
      const { url } = yield* serveRemote(worldOf(asking(worked)))
      const office = yield* openOffice(direct, { url, ...loopback }, silent)
      yield* office.ask("free")
      const [question] = yield* office.interrupts
      assert.deepInclude(question, { kind: "input", message: "The server \"shop\" asks during free: Really?" })
      yield* office.answer({ decision: "approve", value: { sure: true } })
      assert.include(JSON.stringify(yield* office.ended), "sure")
      assert.deepStrictEqual(worked, [JSON.stringify({ action: "accept", content: { sure: true } })])
    })))

  it.live("that is denied is declined", () =>
    Effect.scoped(Effect.gen(function*() {
      const worked: Array<string> = []
      const { url } = yield* serveRemote(worldOf(asking(worked)))
      const office = yield* openOffice(direct, { url, ...loopback }, silent)
      yield* office.ask("free")
      yield* office.answer({ decision: "deny" })
      yield* office.ended
      assert.deepStrictEqual(worked, [JSON.stringify({ action: "decline" })])
    })))

  it.live("and another one of the same round are asked one after the other", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url } = yield* serveRemote(worldOf({
        definition: free,
        work: (_, { mcpReq: { inputResponses } }) =>
          inputResponses?.["a"] === undefined
            ? inputRequired({ inputRequests: { a: inputRequired.elicit(sure), b: inputRequired.elicit(sure) } })
            : said(JSON.stringify(inputResponses))
      }))
      const office = yield* openOffice(direct, { url, ...loopback }, silent)
      yield* office.ask("free")
      yield* office.answer({ decision: "approve", value: { sure: true } })
      yield* Effect.sleep("500 millis")
      yield* office.answer({ decision: "approve", value: { sure: false } })
      const ended = JSON.stringify(yield* office.ended)
      assert.include(ended, "completed")
      assert.match(ended, /sure[^}]*true.*sure[^}]*false/u)
    })))

  it.live("that comes again and again is refused in the end", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url } = yield* serveRemote(worldOf({
        definition: free,
        work: () => inputRequired({ inputRequests: { roots: inputRequired.listRoots() } })
      }))
      const office = yield* openOffice(direct, { url, ...loopback }, silent)
      assert.include(JSON.stringify((yield* office.ask("free")).body), "RemoteRefused")
    })))

  it.live("survives the process, and its answer reaches the call that is made again", () =>
    Effect.scoped(Effect.gen(function*() {
      const worked: Array<string> = []
      const { url } = yield* serveRemote(worldOf(asking(worked)))
      const filename = join(temporaryFolder(), "office.db")
      const first = yield* openOffice(direct, { url, ...loopback }, silent, { filename })
      yield* first.ask("free")
      yield* first.stop
      const second = yield* openOffice(direct, { url, ...loopback }, silent, { filename })
      yield* second.answer({ decision: "approve", value: { sure: true } })
      assert.include(JSON.stringify(yield* second.ended), "\"completed\"")
      assert.deepStrictEqual(worked, [JSON.stringify({ action: "accept", content: { sure: true } })])
    })))

  it.live("of a process that speaks 2025 reaches the one run that calls it", () =>
    Effect.scoped(Effect.gen(function*() {
      const script = fileURLToPath(new URL("legacyServer.ts", import.meta.url))
      const office = yield* openOffice(direct, { command: process.execPath, args: [script] }, silent)
      yield* office.ask("free")
      yield* office.answer({ decision: "approve", value: { sure: false } })
      assert.include(JSON.stringify(yield* office.ended), "accept {\\\"sure\\\":false}")
    })))

  const wantsPage = (url: string, worked: Array<string>): RemoteTool => ({
    definition: free,
    work: (_, { mcpReq: { inputResponses } }) => {
      const answer = inputResponses?.["page"]
      if (answer === undefined) {
        return inputRequired({ inputRequests: { page: inputRequired.elicitUrl({ message: "Pay", url }) } })
      }
      worked.push(JSON.stringify(answer))
      return said(JSON.stringify(answer))
    }
  })

  for (const [decision, action] of [["approve", "accept"], ["deny", "decline"]] as const) {
    it.live(`that wants a page to be opened is an interrupt with its address, and ${decision} is ${action}`, () =>
      Effect.scoped(Effect.gen(function*() {
        const worked: Array<string> = []
        const { url } = yield* serveRemote(worldOf(wantsPage("https://аpple.com/pay", worked)))
        const office = yield* openOffice(direct, { url, ...loopback }, silent)
        yield* office.ask("free")
        const [question] = yield* office.interrupts
        assert.deepInclude(question, {
          kind: "input",
          url: "https://xn--pple-43d.com/pay",
          message: "The server \"shop\" asks during free to open a page of xn--pple-43d.com: Pay"
        })
        yield* office.answer({ decision })
        yield* office.ended
        assert.deepStrictEqual(worked, [JSON.stringify({ action })])
      })))
  }

  it.live("that wants a page of this machine or without https is cancelled, and nobody is asked", () =>
    Effect.scoped(Effect.gen(function*() {
      const worked: Array<string> = []
      const { url } = yield* serveRemote(worldOf(wantsPage("http://example.com/", worked)))
      const office = yield* openOffice(direct, { url, ...loopback }, silent)
      yield* office.ask("free")
      assert.deepStrictEqual(yield* office.interrupts, [])
      assert.deepStrictEqual(worked, [JSON.stringify({ action: "cancel" })])
    })))

  it.live("that refuses a call of 2025 before a page is done makes the call again once somebody was through with it", () =>
    Effect.scoped(Effect.gen(function*() {
      const script = fileURLToPath(new URL("legacyServer.ts", import.meta.url))
      const office = yield* openOffice(direct, { command: process.execPath, args: [script] }, silent)
      yield* office.ask("connect")
      const [question] = yield* office.interrupts
      assert.deepInclude(question, { kind: "input", url: "https://example.com/connect" })
      yield* office.answer({ decision: "approve" })
      assert.include(JSON.stringify(yield* office.ended), "connected after 2 calls")
    })))

  it.live("that refuses a call for a page again and again is refused itself, also when the page is denied", () =>
    Effect.scoped(Effect.gen(function*() {
      const script = fileURLToPath(new URL("legacyServer.ts", import.meta.url))
      for (const decision of ["approve", "deny"]) {
        const office = yield* openOffice(direct, { command: process.execPath, args: [script] }, silent)
        yield* office.ask("stubborn")
        yield* office.answer({ decision })
        assert.include(JSON.stringify(yield* office.ended), "RemoteRefused")
        assert.deepStrictEqual(yield* office.interrupts, [])
      }
    })))

  it.live("about folders has the list of the app, which is empty", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url } = yield* serveRemote(worldOf({
        definition: free,
        work: (_, { mcpReq: { inputResponses } }) =>
          inputResponses?.["roots"] === undefined
            ? inputRequired({ inputRequests: { roots: inputRequired.listRoots() } })
            : said(JSON.stringify(inputResponses["roots"]))
      }))
      const office = yield* openOffice(direct, { url, ...loopback }, silent)
      assert.include(JSON.stringify((yield* office.ask("free")).body), "{\\\"roots\\\":[]}")
    })))

  it.live("to a model is answered by the model of the layer, and journaled in the run; without one it is refused", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url } = yield* serveRemote(worldOf({
        definition: free,
        work: (_, { mcpReq: { inputResponses } }) =>
          inputResponses?.["sum"] === undefined
            ? inputRequired({
              inputRequests: {
                sum: inputRequired.createMessage({
                  messages: [{ role: "user", content: { type: "text", text: "2 + 2?" } }],
                  maxTokens: 10
                })
              }
            })
            : said(JSON.stringify(inputResponses["sum"]))
      }))
      const sampling = deciding((last) => `sum of ${JSON.stringify(last.content).includes("2 + 2?") ? 4 : 0}`)
      const office = yield* openOffice(direct, { url, ...loopback, sampling }, silent)
      assert.include(JSON.stringify((yield* office.ask("free")).body), "sum of 4")
      const [run] = yield* office.list("/runs")
      assert.include(JSON.stringify(yield* office.list(`/runs/${String(run?.["runId"])}/events`)), "llm_end")

      const other = yield* openOffice(direct, { url, ...loopback }, silent)
      assert.include(JSON.stringify((yield* other.ask("free")).body), "RemoteRefused")
    })))
})
