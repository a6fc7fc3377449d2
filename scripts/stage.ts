/**
 * Copies each public package, ready to publish, to a folder: `node scripts/stage.ts <folder>`.
 *
 * npm ignores `publishConfig.exports`, so the staged package.json has it merged in; development fields are removed.
 * Run `tsc -b` first. A release publishes the staged folders, and has the SBOM beside them, `sbom.json`.
 */
import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { publicPackages, root, type Workspace } from "./internal/workspace.ts"
import { sbom } from "./sbom.ts"

/** The folder of a staged package is its name without scope. */
const folderName = (name: string): string => name.replace(/^@[^/]+\//, "")

const published = (manifest: Record<string, unknown>): Record<string, unknown> => {
  const { devDependencies: _, publishConfig, scripts: __, ...rest } = manifest
  const { access, provenance, registry, tag, ...overrides } = (publishConfig ?? {}) as Record<string, unknown>
  return {
    ...rest,
    ...overrides,
    publishConfig: { access, provenance, registry, tag }
  }
}

const stagePackage = (workspace: Workspace, target: string): string => {
  const source = join(root, workspace.folder)
  const staged = join(target, folderName(workspace.manifest.name))
  const manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8"))
  if (!existsSync(join(source, "dist"))) throw new Error(`${workspace.folder} has no dist: run \`tsc -b\` first`)
  rmSync(staged, { recursive: true, force: true })
  mkdirSync(staged, { recursive: true })
  for (const file of manifest.files ?? []) {
    if (existsSync(join(source, file))) {
      cpSync(join(source, file), join(staged, file), {
        recursive: true,
        filter: (path) => !path.endsWith(".tsbuildinfo")
      })
    }
  }
  for (const file of ["README.md", "CHANGELOG.md"]) {
    if (existsSync(join(source, file))) cpSync(join(source, file), join(staged, file))
  }
  cpSync(join(root, "LICENSE"), join(staged, "LICENSE"))
  writeFileSync(join(staged, "package.json"), JSON.stringify(published(manifest), null, 2) + "\n")
  return staged
}

/** The help of the command as text, beside the file that answers with it. */
const writeHelp = (folder: string): void => {
  for (const [name, canColor] of [["help.json", false], ["help.color.json", true]] as const) {
    const text = execFileSync(process.execPath, ["-e", rendering, cli, String(canColor)], { encoding: "utf8" })
    writeFileSync(join(folder, "dist", name), text)
  }
}

const bundling = join(root, "scripts/bundle.ts")
const cli = new URL("../packages/cli/dist/Cli.js", import.meta.url).href

const rendering = `
  const { Effect } = await import("effect")
  const { helpPages } = await import(process.argv[1])
  console.log(JSON.stringify(await Effect.runPromise(helpPages(process.argv[2] === "true"))))
`

/** Stages every public package below `target` and returns their folders. */
export const stage = (target: string): ReadonlyArray<string> =>
  publicPackages().map((workspace) => {
    const folder = stagePackage(workspace, target)
    if (workspace.manifest.name === "fastagentic") {
      writeHelp(folder)
      execFileSync(process.execPath, [bundling, join(folder, "dist/remote")], { stdio: "inherit" })
    }
    return folder
  })

if (import.meta.main) {
  const target = resolve(process.argv[2] ?? join(root, "build/staged"))
  for (const folder of stage(target)) console.log(folder)
  writeFileSync(join(target, "sbom.json"), sbom())
}
