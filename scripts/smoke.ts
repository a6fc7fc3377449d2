/** Starts the server with `npm start` on a free port and asks it over a real socket whether it is healthy. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no free port")
  return address.port
}

const exited = (server: ChildProcess): boolean => server.exitCode !== null || server.signalCode !== null

const healthy = async (server: ChildProcess, url: string): Promise<void> => {
  const deadline = performance.now() + 20_000
  while (performance.now() < deadline) {
    if (exited(server)) throw new Error(`npm start ended with code ${server.exitCode}`)
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
    if (response?.status === 200) return
    await sleep(100)
  }
  throw new Error("GET /health did not answer 200 within 20 s")
}

/** npm and the server it started are one process group, led by the pid we started. */
const signal = (server: ChildProcess, name: NodeJS.Signals): void => {
  if (server.pid === undefined || exited(server)) return
  process.kill(-server.pid, name)
}

const stop = async (server: ChildProcess): Promise<void> => {
  if (exited(server)) return
  const ended = once(server, "exit")
  signal(server, "SIGTERM")
  const late = setTimeout(() => signal(server, "SIGKILL"), 10_000)
  await ended
  clearTimeout(late)
}

const port = await freePort()
const server = spawn("npm", ["start"], {
  detached: true,
  stdio: ["ignore", "inherit", "inherit"],
  env: { ...process.env, PORT: String(port) }
})

try {
  await healthy(server, `http://127.0.0.1:${port}`)
  console.log("smoke: GET /health answered 200")
} finally {
  await stop(server)
}
