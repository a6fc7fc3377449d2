/**
 * Bundles the commands that only talk to a server, with all that they need, into a folder of the packed command:
 * `node scripts/bundle.ts <folder>`. They start five times as fast then, because Node links two files in place of hundreds.
 * Commands that load an app stay as they are, so that the app and the command share one Effect.
 */
import { join } from "node:path"
import { rolldown } from "rolldown"
import { root } from "./internal/workspace.ts"

/** The modules that the bundle leaves out: all commands but those that `bin.ts` loads from it. */
const unbundled = /\/(?:(?!Approvals|Call|Chat|Runs|Tail)\w+Command|prune)\.ts$/u

const bundle = async (folder: string): Promise<void> => {
  const build = await rolldown({
    input: { Cli: join(root, "packages/cli/src/Cli.ts") },
    platform: "node",
    plugins: [{
      name: "unbundled",
      resolveId: (id) =>
        unbundled.test(id) ? { id: `../${id.split("/").at(-1)?.replace(".ts", ".js")}`, external: true } : null
    }]
  })
  await build.write({
    dir: folder,
    format: "esm",
    minify: true,
    comments: { legal: true },
    // `exports` of the package has no files of this ending: they are no imports of anybody.
    entryFileNames: "[name].mjs",
    chunkFileNames: "[name]-[hash].mjs"
  })
  await build.close()
}

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error("bundle: name a folder")
await bundle(folder)
