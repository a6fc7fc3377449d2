#!/usr/bin/env node
import * as module from "node:module"
import * as v8 from "node:v8"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`fastagentic: needs Node 22.19 or newer, this is ${process.version}\n`)
  process.exit(2)
}
module.enableCompileCache()
// The old generation is collected once it has grown by 40 %, not doubled: the same CPU, and memory stays flat.
v8.setFlagsFromString("--heap-growing-percent=40")
const { run } = await import("./Cli.ts")
run()
