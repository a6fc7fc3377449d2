// Packages of others in an installation of their own under build/, which is made once for each lock file.
import { execFileSync } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { oneAtATime } from "./oneAtATime.ts"

type Installed = { readonly folder: string } | { readonly reason: string }

/** The folder of the packages that `own` lists, or why there is none. */
export const installIn = (name: string, own: string): Installed => {
  const folder = fileURLToPath(new URL(`../../../build/${name}/`, import.meta.url))
  return oneAtATime(folder, () => install(name, own, folder))
}

const install = (name: string, own: string, folder: string): Installed => {
  const lock = readFileSync(join(own, "package-lock.json"), "utf8")
  const marker = join(folder, "package-lock.json")
  const isThere = existsSync(join(folder, "node_modules/.package-lock.json")) && existsSync(marker) &&
    readFileSync(marker, "utf8") === lock
  if (isThere) return { folder }
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(own, file), join(folder, file))
  // npm's variables describe the workspace that runs the tests.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/iu.test(name)))
  try {
    execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: folder,
      env,
      stdio: "pipe",
      timeout: 300_000
    })
    return { folder }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    return { reason: `${name} cannot be installed: ${String(error).split("\n")[0]}` }
  }
}
