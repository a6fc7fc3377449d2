#!/usr/bin/env node
import * as module from "node:module"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`fastagentic: needs Node 22.19 or newer, this is ${process.version}\n`)
  process.exit(2)
}
module.enableCompileCache()
const { run } = await import("./Cli.ts")
run()
