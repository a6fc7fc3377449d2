import { assert, describe, it } from "@effect/vitest"
import { fileURLToPath } from "node:url"
import { command, fastagentic, listening } from "../process.ts"
import { describeWith, interpreter, python } from "./interpreters.ts"

const greet = fileURLToPath(new URL("python/greet.py", import.meta.url))

const post = async (url: string, body: object) => {
  const response = await fetch(`${url}/agents/greet`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  })
  const json: unknown = await response.json()
  return { status: response.status, body: Object(json) }
}

const run = async (env: Record<string, string> = {}) => {
  const server = fastagentic(["run", greet, "--mode", "http", "--port", "0", "--store", "memory"], { env })
  return { server, url: await listening(server) }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

for (const version of ["3.11", "3.12", "3.13"]) {
  describeWith(
    `Python ${version}`,
    interpreter(version),
    (path) =>
      it(`fastagentic run agent.py:agent serves the agent by its type hints with Python ${version}`, async () => {
        const { server, url } = await run({ FASTAGENTIC_PYTHON: path })
        const agents = await (await fetch(`${url}/agents`)).json()
        const { description, payload } = Object(agents).items[0]
        assert.strictEqual(description, "Greets somebody.")
        assert.deepStrictEqual(payload.required, ["person"])
        assert.deepStrictEqual(payload.properties.tone.enum, ["warm", "cold"])
        assert.strictEqual(payload.properties.size.description, "The size of the card")
        const { body, status } = await post(url, {
          person: { name: "Ann", born: "1990-02-03" },
          tone: "cold",
          place: { city: "Ulm" },
          tags: ["a", "b"]
        })
        assert.strictEqual(status, 200, JSON.stringify(body))
        assert.deepInclude(body, { text: "COLD S Ann Ulm a,b", age: 36, python: version, settings: [] })
        assert.strictEqual((await post(url, { person: { name: "Ann", age: 3 } })).status, 400)
        server.child.kill("SIGTERM")
        await server.exited
      })
  )
}

describeWith("fastagentic run agent.py:agent", python, (path) =>
  describe("fastagentic run agent.py:agent", () => {
    it("the process of the agent ends with a server that is killed", async () => {
      const { server, url } = await run({ FASTAGENTIC_PYTHON: path })
      const pid = Number((await post(url, { person: { name: "Ann" } })).body.pid)
      assert.isTrue(isAlive(pid))
      server.child.kill("SIGKILL")
      await server.exited
      for (let tries = 0; tries < 100 && isAlive(pid); tries++) await new Promise((resolve) => setTimeout(resolve, 50))
      assert.isFalse(isAlive(pid))
    })

    it("an agent that cannot be served says why, in a line", async () => {
      const refusals: ReadonlyArray<readonly [string, RegExp, Record<string, string>?]> = [
        ["none.py:agent", /none\.py: there is no such file/u],
        [`${greet}:nobody`, /greet\.py:nobody: cannot be loaded: AttributeError: .* has no nobody/u],
        [`${greet}:not_an_agent`, /TypeError: a value of the type int is no agent/u],
        [`${greet}:unreadable`, /cannot be loaded: NameError/u],
        [greet, /\/none\/python cannot be started .*FASTAGENTIC_PYTHON/u, { FASTAGENTIC_PYTHON: "/none/python" }]
      ]
      for (const [file, text, env] of refusals) {
        const { code, stderr, stdout } = await command(["run", file, "--mode", "http"], {
          env: { FASTAGENTIC_PYTHON: path, ...env }
        })
        assert.notStrictEqual(code, 0, file)
        assert.match(stderr + stdout, text)
      }
    })
  }))
