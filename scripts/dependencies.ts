/**
 * Fails when a dependency has no reason in docs/dependencies.md, a reason there has no dependency, or a command is not that
 * of the dependency it belongs to.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { foreignCommands } from "./internal/commands.ts"
import { root, workspaces } from "./internal/workspace.ts"

const own = new Set(workspaces().map(({ manifest }) => manifest.name))

const declared = new Set(
  workspaces().flatMap(({ manifest }) =>
    [
      manifest.dependencies,
      manifest.devDependencies,
      manifest.peerDependencies,
      manifest.optionalDependencies
    ].flatMap((group) => Object.keys(group ?? {}))
  ).filter((name) => !own.has(name))
)

const reasons = readFileSync(join(root, "docs/dependencies.md"), "utf8")
const explained = new Set([...reasons.matchAll(/^- `([^`]+)`: \S/gm)].map(([, name = ""]) => name))

const missing = [...declared].filter((name) => !explained.has(name)).sort()
const stale = [...explained].filter((name) => !declared.has(name)).sort()

for (const name of missing) console.error(`dependencies: give a reason for ${name} in docs/dependencies.md`)
for (const name of stale) console.error(`dependencies: ${name} is explained but no package.json has it`)
const foreign = foreignCommands()
for (const one of foreign) console.error(`dependencies: ${one}; run npm ci`)

if (missing.length + stale.length + foreign.length > 0) process.exitCode = 1
else console.log(`dependencies: ${declared.size} explained`)
