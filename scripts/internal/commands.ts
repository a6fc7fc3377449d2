// Commands of node_modules/.bin that belong to another package than the one that was asked for. Called by dependencies.ts.
// Two packages may have a command of the same name, and npm links the one that it comes upon first.
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { join } from "node:path"
import { root, workspaces } from "./workspace.ts"

const modules = join(root, "node_modules")

/** The root's own dependencies, without those that have another name here than in the registry. */
const wanted = () =>
  Object.entries(workspaces()[0]?.manifest.devDependencies ?? {})
    .filter(([, range]) => !range.startsWith("npm:"))
    .map(([name]) => name)

const commandsOf = (name: string): ReadonlyArray<string> => {
  const { bin = {} } = JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8"))
  return typeof bin === "string" ? [name.split("/").at(-1) ?? name] : Object.keys(bin)
}

const isOwn = (command: string, name: string) => {
  const link = join(modules, ".bin", command)
  return existsSync(link) && realpathSync(link).startsWith(`${realpathSync(join(modules, name))}/`)
}

export const foreignCommands = (): ReadonlyArray<string> =>
  wanted().flatMap((name) =>
    commandsOf(name).filter((command) => !isOwn(command, name)).map((command) => `${command} is not that of ${name}`)
  )
