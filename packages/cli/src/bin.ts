#!/usr/bin/env node
import { existsSync, readFileSync } from "node:fs"
import * as module from "node:module"
import * as v8 from "node:v8"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`fastagentic: needs Node 22.19 or newer, this is ${process.version}\n`)
  process.exit(2)
}

/** The page that is asked for, if the package has it: nothing else is loaded then. */
const helpPage = (): string | undefined => {
  const words = process.argv.slice(2)
  const last = words.pop()
  if (last !== "--help" && last !== "-h") return undefined
  const { FORCE_COLOR, NO_COLOR, TERM } = process.env
  if (FORCE_COLOR || TERM === "dumb") return undefined
  const file = new URL(process.stdout.isTTY && !NO_COLOR ? "help.color.json" : "help.json", import.meta.url)
  if (!existsSync(file)) return undefined
  const pages = new Map<string, string>(Object.entries(JSON.parse(readFileSync(file, "utf8"))))
  return pages.get(words.join(" "))
}

/** The packed commands that only talk to a server: one file has all that they need. */
const remote = new URL("remote/Cli.mjs", import.meta.url)

const isRemote = (): boolean => {
  const [name = "", ...rest] = process.argv.slice(2)
  // Flags may stand before `prune`, which needs the stores.
  return ["approvals", "call", "chat", "runs", "tail"].includes(name) && !rest.includes("prune") && existsSync(remote)
}

const page = helpPage()
if (page === undefined) {
  module.enableCompileCache()
  // The old generation is collected once it has grown by 40 %, not doubled: the same CPU, and memory stays flat.
  v8.setFlagsFromString("--heap-growing-percent=40")
  const { run }: typeof import("./Cli.ts") = isRemote() ? await import(remote.href) : await import("./Cli.ts")
  run()
} else process.stdout.write(page)
