// The files that a watched process has loaded: a change of one of them, by its time and size, is told once. Folders are
// watched, not files, because editors replace a file by another one.
import { type FSWatcher, statSync, watch } from "node:fs"
import { dirname, join, relative } from "node:path"

const stampOf = (path: string) => {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? "absent" : `${stat.mtimeMs} ${stat.size}`
}

export class Files {
  private readonly stamps = new Map<string, string>()
  private readonly folders = new Map<string, FSWatcher>()
  private readonly changed: (file: string) => void

  constructor(changed: (file: string) => void) {
    this.changed = changed
  }

  add(path: string) {
    this.stamps.set(path, stampOf(path))
    const folder = dirname(path)
    if (this.folders.has(folder)) return
    const watcher = watch(folder, (_event, name) => this.look(name === null ? undefined : join(folder, name)))
    // A folder that is removed is watched no more; its files have changed.
    watcher.on("error", () => this.look(undefined))
    this.folders.set(folder, watcher)
  }

  close() {
    for (const watcher of this.folders.values()) watcher.close()
    this.folders.clear()
  }

  /** Looks at one file, or at all of them on systems that do not name the one that changed. */
  private look(path: string | undefined) {
    const paths = path === undefined ? [...this.stamps.keys()] : [path]
    for (const one of paths) {
      const before = this.stamps.get(one)
      const now = stampOf(one)
      if (before === undefined || before === now) continue
      this.stamps.set(one, now)
      this.changed(relative(".", one))
    }
  }
}
