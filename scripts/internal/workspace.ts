// The workspaces of the repository, for the other scripts.
import { globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export interface Manifest {
  readonly name: string
  readonly version?: string
  readonly private?: boolean
  readonly publishConfig?: Readonly<Record<string, unknown>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

export interface Workspace {
  readonly folder: string
  readonly manifest: Manifest
}

export const root = fileURLToPath(new URL("../../", import.meta.url))

const read = (folder: string): Workspace => ({
  folder,
  manifest: JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"))
})

const within = (pattern: string): ReadonlyArray<Workspace> =>
  globSync(`${pattern}/package.json`, { cwd: root }).map(dirname).sort().map(read)

/** The packages below `packages/`. */
export const packages = (): ReadonlyArray<Workspace> => within("packages/*")

/** The packages that are published. */
export const publicPackages = (): ReadonlyArray<Workspace> =>
  packages().filter(({ manifest }) => manifest.private !== true)

/** Every folder with a package.json: the root, packages, examples and benchmarks. */
export const workspaces = (): ReadonlyArray<Workspace> => [
  read("."),
  ...packages(),
  ...within("examples/*"),
  ...within("benchmarks")
]
