// The process of Claude Code: started as the SDK would, and ended at once with its run, because the SDK gives it two more
// seconds in which it asks its model again. session.ts makes one for each query.
import { type ChildProcess, spawn } from "node:child_process"

/** A process as the SDK asks for it. */
interface Asked {
  readonly command: string
  readonly args: ReadonlyArray<string>
  readonly cwd?: string
  readonly env: NodeJS.ProcessEnv
}

/** How long it may take to end by itself. */
const grace = 1_000

export const make = (heard: (text: string) => void) => {
  let child: ChildProcess | undefined
  return {
    spawn: ({ args, command, cwd, env }: Asked) => {
      child = spawn(command, args, { cwd, env, stdio: "pipe", windowsHide: true })
      child.stderr?.setEncoding("utf8").on("data", heard)
      return child
    },
    end: () => {
      child?.kill("SIGTERM")
      setTimeout(() => child?.kill("SIGKILL"), grace).unref()
    }
  }
}
