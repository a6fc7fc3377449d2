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

/** Runs a test with an app of the fixtures, served on SQLite unless a store is given, and always stops it. */
export const withApp = async (
  name: string,
  use: (served: Served) => Promise<void>,
  { cwd = temporaryFolder(), env = {}, port = "0", store = "runs.db" }: {
    readonly cwd?: string
    readonly env?: Record<string, string>
    readonly port?: string
    readonly store?: string
  } = {}
) => {
  const running = fastagentic(
    ["run", fixture(name), "--mode", "http", "--port", port, "--store", store],
    { cwd, env }
  )
  try {
    const url = await listening(running)
    await use({
      url,
      running,
      post: async (path, body) => (await fetch(url + path, { method: "POST", body: JSON.stringify(body) })).json(),
      ask: (...args) => command(args, { env: { FASTAGENTIC_URL: url } })
    })
  } finally {
    running.child.kill("SIGKILL")
    await running.exited
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
