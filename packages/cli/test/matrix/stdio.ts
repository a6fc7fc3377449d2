import { Effect } from "effect"
import { fastagentic, fixture, listening } from "../process.ts"
import { type McpAnswer, mcpMessage } from "./transports.ts"

/** The lab on standard input and output, and on a port, in a process of its own that speaks for one caller. */
export const startStdio = (token: string | undefined) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      fastagentic(["run", fixture("lab.ts"), "--port", "0", "--store", "memory"], {
        stdin: "pipe",
        env: { LAB_TELLS: "1", ...(token === undefined ? {} : { FASTAGENTIC_TOKEN: token }) }
      })
    ),
    (running) =>
      Effect.promise(async () => {
        running.child.kill("SIGKILL")
        await running.exited
      })
  ).pipe(Effect.flatMap((running) =>
    Effect.promise(async () => {
      const url = await listening(running)
      let ids = 0
      const ask = async (method: string, params: Record<string, unknown>): Promise<McpAnswer> => {
        const id = ++ids
        running.child.stdin?.write(`${JSON.stringify(mcpMessage(id, method, params))}\n`)
        for (let i = 0; i < 1_600; i++) {
          const line = running.stdout().split("\n").find((one) =>
            one.includes(`"id":${id},`) || one.includes(`"id":${id}}`)
          )
          if (line !== undefined) return JSON.parse(line)
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
        throw new Error(`no answer: ${running.stdout()} ${running.stderr()}`)
      }
      const isDone = (mark: string) => running.stderr().includes(`done ${mark}\n`)
      return { url, ask, isDone, stderr: running.stderr }
    })
  ))
