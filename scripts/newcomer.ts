/**
 * Follows the README's quickstart in an empty folder: installs the packed packages, serves the app of its first code
 * block with its own command, sends its request and compares the answer. A model whose package is missing has to be
 * refused in one line. Then it makes an app with `fastagentic new`, whose types, tests and first streamed reply have to be
 * good. Run `tsc -b` first.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { freePort } from "./internal/freePort.ts"
import { packed } from "./internal/packed.ts"
import { root } from "./internal/workspace.ts"

const readme = readFileSync(join(root, "README.md"), "utf8")

/** The README's first code block in a language whose text has `part`. */
const block = (language: string, part: string): string => {
  for (const [, text = ""] of readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gmsu"))) {
    if (text.includes(part)) return text
  }
  throw new Error(`newcomer: README.md has no ${language} block with ${part}`)
}

const app = block("ts", "export default")
const request = block("sh", "curl ").trim()
const answer: unknown = JSON.parse(block("json", ""))

/** A newcomer has neither the workspace's modules nor its `npm_*` variables. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")))

const folder = mkdtempSync(join(tmpdir(), "fastagentic-newcomer-"))
const home = join(folder, "shop")
mkdirSync(home)
const fastagentic = join(home, "node_modules/.bin/fastagentic")

const run = (command: string, args: ReadonlyArray<string>, cwd = home): string =>
  execFileSync(command, args, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

const answers = async (server: ChildProcess, url: string): Promise<void> => {
  for (const deadline = performance.now() + 20_000; performance.now() < deadline;) {
    if (server.exitCode !== null) throw new Error(`newcomer: the server ended with code ${server.exitCode}`)
    const response = await fetch(`${url}/health`).catch(() => undefined)
    if (response?.status === 200) return
    await sleep(100)
  }
  throw new Error("newcomer: GET /health did not answer 200 within 20 s")
}

/** A server of a command, as long as it is used. */
const serving = async (
  command: string,
  args: ReadonlyArray<string>,
  cwd: string,
  use: (url: string) => Promise<void>
) => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const server = spawn(command, [...args, "--port", String(port)], {
    cwd,
    env,
    stdio: ["pipe", "ignore", "inherit"],
    detached: true
  })
  try {
    await answers(server, url)
    await use(url)
  } finally {
    // As Ctrl+C does: npm does not pass a signal on to the server that it started.
    const ended = once(server, "close")
    if (server.exitCode === null && server.pid !== undefined) {
      process.kill(-server.pid, "SIGTERM")
      await ended
    }
  }
}

/** The shortest of several runs in milliseconds. */
const shortest = (command: string, args: ReadonlyArray<string>): number =>
  Math.min(...Array.from({ length: 20 }, () => {
    const start = performance.now()
    run(command, args)
    return performance.now() - start
  }))

/** The packed help is that of the command, and comes as fast as Node starts. */
const checkHelp = (): void => {
  for (const words of [[], ["run"], ["runs", "list"]]) {
    const packed = run(fastagentic, [...words, "--help"])
    // The variable makes the command render its help.
    const rendered = execFileSync(fastagentic, [...words, "--help"], {
      cwd: home,
      env: { ...env, FORCE_COLOR: "0" },
      encoding: "utf8"
    })
    if (packed !== rendered) throw new Error(`newcomer: the packed help of "${words.join(" ")}" is another`)
  }
  const file = join(home, "node_modules/fastagentic/dist/bin.js")
  const ratio = shortest(process.execPath, [file, "--help"]) / shortest(process.execPath, ["-e", "0"])
  console.log(`newcomer: --help takes ${ratio.toFixed(2)} times as long as Node alone`)
  if (ratio > 2) throw new Error("newcomer: --help is slow")
}

try {
  const tarballs = packed(folder)
  run("npm", ["init", "-y"])
  run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...tarballs, "effect"])
  writeFileSync(join(home, "app.mts"), app)
  await serving(fastagentic, ["run", "app.mts"], home, async (url) => {
    const received: unknown = JSON.parse(run("sh", ["-c", request.replace("http://127.0.0.1:8000", url)]))
    if (received !== answer) throw new Error(`newcomer: the answer is ${JSON.stringify(received)}`)
    console.log(`newcomer: the answer is ${JSON.stringify(received)}`)
    // The same request by the packed command, whose files for servers are bundled.
    const { agent = "", payload = "" } = /agents\/(?<agent>[\w-]+).* -d '(?<payload>[^']+)'/su.exec(request)?.groups ??
      {}
    const called = run(fastagentic, ["call", agent, payload, "--url", url])
    if (!called.includes(String(answer))) throw new Error(`newcomer: the command answers ${called}`)
  })
  checkHelp()
  const named = { ...env, FASTAGENTIC_MODEL: "anthropic:claude", ANTHROPIC_API_KEY: "key" }
  const refused = spawnSync(fastagentic, ["run", "app.mts", "--mode", "http"], {
    cwd: home,
    env: named,
    encoding: "utf8"
  })
  if (refused.status !== 2 || !refused.stderr.includes("npm install @ai-sdk/anthropic")) {
    throw new Error(`newcomer: a model without its package ends with ${refused.status}: ${refused.stderr}`)
  }
  console.log(`newcomer: ${refused.stderr.trim()}`)

  run(fastagentic, ["new", "hello"], folder)
  const made = join(folder, "hello")
  run("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline", ...tarballs], made)
  await serving("npm", ["run", "dev", "--"], made, async (url) => {
    const command = /^curl .*$/mu.exec(readFileSync(join(made, "README.md"), "utf8"))?.[0] ?? ""
    const streamed = run("sh", ["-c", command.replace("http://127.0.0.1:8000", url)])
    if (!streamed.includes("event: token")) throw new Error(`newcomer: the new app streams ${streamed}`)
    console.log("newcomer: the new app streams its reply")
  })
  run("npm", ["run", "check"], made)
  run("npm", ["test"], made)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
