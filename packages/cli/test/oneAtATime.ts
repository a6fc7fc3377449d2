// Files of tests that share a folder under build/ make it one at a time: the others wait, and find it made.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, resolve } from "node:path"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Takes the lock, unless a process has it that is alive. */
const take = (lock: string): boolean => {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" })
    return true
  } catch {
    try {
      if (!isAlive(Number(readFileSync(lock, "utf8")))) rmSync(lock, { force: true })
    } catch {
      // The owner has given it back meanwhile.
    }
    return false
  }
}

/** Makes something in a folder while no other process does. */
export const oneAtATime = <A>(folder: string, make: () => A): A => {
  const lock = `${resolve(folder)}.lock`
  mkdirSync(dirname(lock), { recursive: true })
  while (!take(lock)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  try {
    return make()
  } finally {
    rmSync(lock, { force: true })
  }
}
