import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Template from "../src/internal/template.ts"
import { pythonWith } from "./adapters/environments.ts"
import { isThere } from "./adapters/interpreters.ts"
import { command, fastagentic, listening, type Running, temporaryFolder } from "./process.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const workspace = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
/** The versions of frameworks that the adapters are tested with. */
const { devDependencies: ofFrameworks } = JSON.parse(readFileSync(join(root, "packages/cli/package.json"), "utf8"))

/** The folder in which every template was made once; its modules are those of the workspace. */
const home = temporaryFolder()
const nameOf = (template: string) => `my-${template}`
const read = (template: string, file: string) => readFileSync(join(home, nameOf(template), file), "utf8")
const bin = (name: string, args: ReadonlyArray<string>) =>
  execFileSync(process.execPath, [join(root, "node_modules", name), ...args], {
    cwd: home,
    encoding: "utf8",
    env: { ...process.env, ...env }
  })

const post = async (url: string, body: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers }
  })
  return { status: response.status, text: await response.text() }
}

/** The template in Python runs where that is installed. */
const python = pythonWith("pydantic-ai")
const env = "path" in python ? { FASTAGENTIC_PYTHON: python.path } : {}
const runnable = Template.names.filter((name) =>
  // CrewAI takes a gigabyte: its template runs in the trials.
  name === "pydanticai" ? isThere("the template pydanticai", python) : name !== "crewai"
)

const shipped = { agent: "support", payload: { question: "Where is order 1042?" }, answer: "shipped" }

/** One call of each template on each protocol, and a part of every answer. */
const calls: Record<Template.Name, {
  readonly agent: string
  readonly payload: Record<string, string>
  readonly answer: string
}> = {
  effect: shipped,
  "mcp-tools": { agent: "desk", payload: { question: "Find order 1042" }, answer: "shipped" },
  "multi-agent": { agent: "editor", payload: { topic: "tea" }, answer: "doubts" },
  "ai-sdk": shipped,
  langchain: shipped,
  langgraph: shipped,
  mastra: shipped,
  "openai-agents": shipped,
  pydanticai: shipped,
  crewai: shipped
}

/** Templates whose agent asks a human before it cancels an order. */
const cancelling = new Set<Template.Name>(["ai-sdk", "langgraph", "mastra", "openai-agents"])

describe("fastagentic new", () => {
  beforeAll(async () => {
    for (const template of Template.names) {
      const { code, stderr } = await command(["new", nameOf(template), "--template", template], { cwd: home })
      assert.deepStrictEqual([code, stderr], [0, ""])
    }
    symlinkSync(join(root, "node_modules"), join(home, "node_modules"))
  })

  it("an app has tests, container, CI and settings files, its name, and versions that the workspace is tested with", () => {
    for (const template of Template.names) {
      const files = readdirSync(join(home, nameOf(template)), { recursive: true }).map(String)
      assert.includeMembers(files, [
        ".dockerignore",
        ".env.example",
        join(".github", "workflows", "ci.yml"),
        ".gitignore",
        "Dockerfile",
        "README.md",
        "compose.yaml",
        join("src", "app.ts"),
        join("test", "app.test.ts"),
        "tsconfig.json"
      ])
      assert.deepStrictEqual(files.filter((file) => file.includes("dot-")), [])
      for (const file of files.filter((file) => /\.\w+$/u.test(file) && !file.endsWith(".github"))) {
        assert.notMatch(read(template, file), /__[a-z_]+__/u)
      }
      const { dependencies, devDependencies, name } = JSON.parse(read(template, "package.json"))
      assert.strictEqual(name, nameOf(template))
      // The tested version, and later minors of it.
      const tested = workspace.devDependencies
      assert.strictEqual(dependencies.effect, `^${tested.effect}`)
      assert.strictEqual(devDependencies["@effect/vitest"], `^${tested["@effect/vitest"]}`)
      for (const one of ["@types/node", "typescript"]) {
        assert.strictEqual(devDependencies[one], tested[one])
      }
      const needed = Object.keys({ ...dependencies, ...devDependencies }).filter((one) => !one.startsWith("@"))
      for (const one of needed) assert.isTrue(Template.dependencies.has(one), one)
      for (const [one, version] of Object.entries(ofFrameworks)) {
        if (dependencies[one] !== undefined) assert.strictEqual(dependencies[one], version)
      }
    }
  })

  it("the app of the first template is that of the README under its own name", () => {
    const example = readFileSync(join(root, "examples/00-hello/app.ts"), "utf8")
    const named = example.replaceAll("Shop", "Main").replace(
      "\"shop\", { version: \"1.0.0\"",
      "\"my-effect\", { version: \"0.1.0\""
    )
    assert.strictEqual(read("effect", join("src", "app.ts")), named)
  })

  it("every template compiles with its own settings", () => {
    const settings = JSON.parse(read("effect", "tsconfig.json"))
    assert.strictEqual(read("mcp-tools", "tsconfig.json"), read("effect", "tsconfig.json"))
    writeFileSync(
      join(home, "tsconfig.json"),
      JSON.stringify({ ...settings, include: ["my-*/src/**/*.ts", "my-*/test/**/*.ts"] })
    )
    bin("typescript/bin/tsc", ["--noEmit", "--project", home])
  }, 120_000)

  it("the tests of every template pass", () => {
    bin("vitest/vitest.mjs", [
      "run",
      "--root",
      home,
      ...Template.names.filter((name) => !runnable.includes(name)).map((name) => `--exclude=my-${name}/**`),
      // One worker imports the packages once for all apps.
      "--maxWorkers=1",
      "--no-isolate",
      "--reporter=json",
      "--outputFile=report.json"
    ])
    const report = JSON.parse(readFileSync(join(home, "report.json"), "utf8"))
    assert.deepInclude(report, { success: true, numFailedTests: 0 })
    assert.lengthOf(report.testResults, runnable.length)
  }, 120_000)

  it.each(runnable)("an app of the template %s answers over REST, SSE, MCP and A2A", async (template) => {
    const { agent, answer, payload } = calls[template]
    const { dev } = JSON.parse(read(template, "package.json")).scripts
    const [program, ...args] = dev.split(" ")
    assert.strictEqual(program, "fastagentic")
    const server: Running = fastagentic([...args, "--port", "0"], { cwd: join(home, nameOf(template)), env })
    try {
      const url = await listening(server)
      const rest = await post(`${url}/agents/${agent}`, payload)
      assert.deepStrictEqual([rest.status, rest.text.includes(answer)], [200, true], rest.text)
      // The request that the README shows is the one that the banner prints.
      const shown = `/agents/${agent}/stream -H 'content-type: application/json' -d '${JSON.stringify(payload)}'`
      assert.include(server.stdout(), shown)
      assert.include(read(template, "README.md"), shown)
      assert.include((await post(`${url}/agents/${agent}/stream`, payload)).text, "event: token")
      if (cancelling.has(template)) {
        const asking = await post(`${url}/agents/${agent}`, { question: "Cancel order 1042" })
        assert.deepStrictEqual([asking.status, asking.text.includes("1042")], [202, true], asking.text)
      }
      if (template === "mcp-tools") {
        const missing = await post(`${url}/tools/find_order`, { orderId: 1 })
        assert.deepStrictEqual(
          [missing.status, missing.text.includes("There is no order 1.")],
          [404, true],
          missing.text
        )
      }
      const mcp = await post(`${url}/mcp`, {
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: {
          name: agent,
          arguments: payload,
          _meta: {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}
          }
        }
      }, {
        accept: "application/json",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": agent
      })
      assert.include(mcp.text, answer)
      const a2a = await post(`${url}/a2a/${agent}`, {
        jsonrpc: "2.0",
        id: 1,
        method: "SendMessage",
        params: { message: { messageId: "1", role: "ROLE_USER", parts: [{ data: payload }] } }
      }, { "a2a-version": "1.0" })
      assert.include(a2a.text, "TASK_STATE_COMPLETED")
      assert.include(a2a.text, answer)
    } finally {
      server.child.kill()
      await server.exited
    }
  }, 60_000)

  it("the command of the container is a server that asks for keys", async () => {
    const [, shown = ""] = /^CMD (\[.*\])$/mu.exec(read("effect", "Dockerfile")) ?? []
    const [program = "", ...args] = JSON.parse(shown)
    assert.match(program, /fastagentic$/u)
    const server = fastagentic(args, {
      cwd: join(home, nameOf("effect")),
      env: { HOST: "127.0.0.1", PORT: "0", FASTAGENTIC_STORE: join(temporaryFolder(), "runs.db") }
    })
    try {
      const url = await listening(server)
      assert.strictEqual((await post(`${url}/agents/support`, { question: "Where?" })).status, 401)
      assert.strictEqual((await fetch(`${url}/health`)).status, 200)
    } finally {
      server.child.kill()
      await server.exited
    }
  })

  it("a folder that is there, a name that does not fit and an unknown template are refused in one line", async () => {
    const cwd = temporaryFolder()
    const refused = async (args: ReadonlyArray<string>, message: RegExp) => {
      const { code, stderr, stdout } = await command(["new", ...args], { cwd })
      assert.deepStrictEqual([code, stdout], [2, ""])
      assert.match(stderr, message)
      assert.match(stderr, /^fastagentic: [^\n]*\n$/u)
    }
    mkdirSync(join(cwd, "taken"))
    writeFileSync(join(cwd, "taken", "notes"), "mine")
    writeFileSync(join(cwd, "file"), "mine")
    await refused(["taken"], /taken: is there already and is not empty; choose another name/u)
    await refused(["file"], /file: is there already/u)
    assert.deepStrictEqual(readdirSync(join(cwd, "taken")), ["notes"])
    await refused([], /new needs a name; call it `fastagentic new my-app`/u)
    for (const name of ["Bad", "../up", "a/b", ".", "a".repeat(65), "1st", "a\u001b[31m"]) {
      await refused([name], /does not fit a package/u)
    }
    for (const name of Template.dependencies) await refused([name], /is a package that the app needs/u)
    await refused(["app", "--template", "foo"], /"foo"\. Expected: "effect" \| "mcp-tools" \| "multi-agent"/u)
    await refused(["app", "--tmplate", "effect"], /did you mean --template\?/u)
    assert.deepStrictEqual(readdirSync(cwd).sort(), ["file", "taken"])
  })

  it("an empty folder is filled, and of two calls at the same time one writes and one is refused", async () => {
    const cwd = temporaryFolder()
    mkdirSync(join(cwd, "app"))
    const both = [fastagentic(["new", "app"], { cwd }), fastagentic(["new", "app"], { cwd })]
    const codes = await Promise.all(both.map(({ exited }) => exited))
    assert.deepStrictEqual(codes.sort(), [0, 2])
    assert.isTrue(existsSync(join(cwd, "app", "src", "app.ts")))
    assert.deepStrictEqual(readdirSync(cwd), ["app"])
  })

  it("a misspelt command is answered with the one that was meant", async () => {
    const { code, stderr } = await command(["nwe", "app"])
    assert.deepStrictEqual([code, stderr], [
      2,
      "fastagentic: Unknown subcommand \"nwe\" for \"fastagentic\"; did you mean new?\n"
    ])
  })
})
