// Puts a commit in a folder of its own, ready to serve. Called by compare.ts, which removes the folder. The repository does
// not know of it, so a folder that is left behind by a kill is only a folder.
import { execFileSync } from "node:child_process"
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const here = resolve(import.meta.dirname, "../..")

interface Checkout {
  readonly commit: string
  readonly folder: string
}

export const checkOut = (revision: string): Checkout => {
  const commit = git("rev-parse", "--verify", "--short", `${revision}^{commit}`).trim()
  const folder = mkdtempSync(join(tmpdir(), `bench-${commit}-`))
  const archive = execFileSync("git", ["archive", commit], { cwd: here, maxBuffer: 1 << 30 })
  execFileSync("tar", ["-x", "-C", folder], { input: archive })
  if (sameLock(folder)) linkModules(here, folder)
  else execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: folder, stdio: "inherit" })
  return { commit, folder }
}

const git = (...words: ReadonlyArray<string>) => execFileSync("git", words, { cwd: here, encoding: "utf8" })

const sameLock = (folder: string) =>
  readFileSync(join(folder, "package-lock.json"), "utf8") === readFileSync(join(here, "package-lock.json"), "utf8")

/** The same dependencies at both: the packages of the registry are shared, those of the workspace are the commit's own. */
const linkModules = (from: string, to: string) => {
  linkFolder(join(from, "node_modules"), join(to, "node_modules"))
  for (const name of readdirSync(join(to, "packages"))) {
    const own = join("packages", name, "node_modules")
    if (lstatSync(join(from, own), { throwIfNoEntry: false }) !== undefined) linkFolder(join(from, own), join(to, own))
  }
}

/** Links of a workspace and of a command are relative: copied as they are, they lead to the commit's files. */
const linkFolder = (from: string, to: string) => {
  mkdirSync(to, { recursive: true })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else if (entry.name.startsWith("@") || entry.name === ".bin") linkFolder(source, target)
    else if (!entry.name.startsWith(".")) symlinkSync(source, target)
  }
}
