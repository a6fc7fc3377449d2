// The public packages as tarballs, as a user gets them, for the scripts that follow the documentation from an empty folder.
import { execFileSync } from "node:child_process"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { stage } from "../stage.ts"

/** Packs every public package into the folder; the paths of the tarballs. Run `tsc -b` first. */
export const packed = (folder: string): ReadonlyArray<string> => {
  mkdirSync(folder, { recursive: true })
  return stage(join(folder, "staged")).map((staged) =>
    join(
      folder,
      execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder, staged], {
        cwd: folder,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"]
      }).trim()
    )
  )
}
