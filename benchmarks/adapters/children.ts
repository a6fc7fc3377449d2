/** The costs of the processes that a process has started, on Linux: those of Python agents. */
import { readdirSync, readFileSync } from "node:fs"

/** Microseconds in a clock tick, and bytes in a page: `getconf CLK_TCK` and `getconf PAGESIZE` of Linux. */
const [tick, page] = [10_000, 4_096]

export interface Cost {
  readonly cpu: number
  readonly rss: number
}

const read = (path: string) => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** Each of them, and those that they have started. */
export const childrenOf = (pid: number): ReadonlyArray<Cost> => {
  const threads = (() => {
    try {
      return readdirSync(`/proc/${pid}/task`)
    } catch {
      return []
    }
  })()
  const children = threads.flatMap((thread) => read(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean))
  return children.flatMap((child) => {
    // The second field may have spaces; it ends with the last bracket.
    const fields = read(`/proc/${child}/stat`).split(") ").at(-1)?.split(" ") ?? []
    const cost = { cpu: (Number(fields[11]) + Number(fields[12])) * tick, rss: Number(fields[21]) * page }
    return fields.length > 21 ? [cost, ...childrenOf(Number(child))] : []
  })
}
