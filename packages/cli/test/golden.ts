import { afterAll } from "vitest"
import { command, fastagentic, fixture, listening, type Running, temporaryFolder } from "./process.ts"

/** Output with a name in place of each id and time: equal ids have equal names, in the order in which they appear. */
export const golden = (text: string): string => {
  const names = new Map<string, string>()
  const named = (kind: string) => (found: string) => {
    const name = names.get(found) ??
      `<${kind} ${[...names.values()].filter((one) => one.startsWith(`<${kind} `)).length + 1}>`
    names.set(found, name)
    return name
  }
  return text
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/gu, named("run"))
    .replaceAll(/\b[0-9a-f]{32}\b/gu, named("trace"))
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/gu, "<time>")
    .replaceAll(/(?<="(?:ts|createdAt|updatedAt|finishedAt)":)\d{13}/gu, "0")
    .replaceAll(/(?<="traceparent":")[^"]+/gu, "<trace>")
}

export interface Served {
  readonly url: string
  readonly running: Running
  readonly post: (path: string, body: unknown) => Promise<{ readonly runId: string }>
  /** A command that asks this server. */
  readonly ask: (...args: ReadonlyArray<string>) => ReturnType<typeof command>
}

interface Place {
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly port?: string
  readonly store?: string
}

/** Serves an app of the fixtures, on SQLite unless a store is given. */
const serve = (name: string, { cwd = temporaryFolder(), env = {}, port = "0", store = "runs.db" }: Place = {}) => {
  const running = fastagentic(["run", fixture(name), "--mode", "http", "--port", port, "--store", store], { cwd, env })
  return {
    stop: async () => {
      running.child.kill("SIGKILL")
      await running.exited
    },
    served: async (): Promise<Served> => {
      const url = await listening(running)
      return {
        url,
        running,
        post: async (path, body) => (await fetch(url + path, { method: "POST", body: JSON.stringify(body) })).json(),
        ask: (...args) => command(args, { env: { FASTAGENTIC_URL: url } })
      }
    }
  }
}

/** Runs a test with a server of its own, and always stops it. */
export const withApp = async (name: string, use: (served: Served) => Promise<void>, place: Place = {}) => {
  const { served, stop } = serve(name, place)
  try {
    await use(await served())
  } finally {
    await stop()
  }
}

/** Gives the tests of a file one server, which has the runs of the tests before. */
export const sharedApp = (name: string) => {
  let started: { readonly served: Promise<Served>; readonly stop: () => Promise<void> } | undefined
  afterAll(() => started?.stop())
  return async (use: (served: Served) => Promise<void>) => {
    if (started === undefined) {
      const { served, stop } = serve(name)
      started = { served: served(), stop }
    }
    await use(await started.served)
  }
}

/** Waits until a command has printed a text. */
export const printed = async (running: Running, text: string, times = 1): Promise<void> => {
  for (let i = 0; i < 1_000; i++) {
    if ((running.stdout() + running.stderr()).split(text).length > times) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`${text} was not printed: ${running.stdout()} ${running.stderr()}`)
}
