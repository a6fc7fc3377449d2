// Names the files of an app to the process that watches them: RunCommand begins it in a child of watcher.ts, which sets the
// variable. The hook stands before the app is loaded, so that a file with a syntax error is named too.
import { registerHooks } from "node:module"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"

/** The variable that marks a process whose parent watches its files. */
export const variable = "FASTAGENTIC_WATCHED"

const isOfTheApp = (url: string) => url.startsWith("file:") && !url.includes("/node_modules/")

export const begin = (file: string): void => {
  const { connected, env, send } = process
  if (send === undefined || env[variable] === undefined) return
  // The parent was killed before this process could see the end of the channel.
  if (!connected) process.exit(0)
  const name = (path: string) => {
    if (process.connected) process.send?.(path, undefined, undefined, parentHasGone)
  }
  name(resolve(file.replace(/(?<=\.py):.*$/u, "")))
  registerHooks({
    load: (url, context, nextLoad) => {
      if (isOfTheApp(url)) name(fileURLToPath(url))
      return nextLoad(url, context)
    }
  })
  endsWithParent()
}

/** A name that nobody reads any more is no error: the end of the channel, which the event loop sees later, stops this process. */
const parentHasGone = () => {}

/** The end of the channel asks for a graceful stop, also when the parent was killed. */
const endsWithParent = () => {
  let isStopping = false
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      isStopping = true
    })
  }
  process.once("disconnect", () => {
    if (!isStopping) process.kill(process.pid, "SIGTERM")
  })
  // The channel keeps no process alive that has ended its work.
  process.channel?.unref()
}
