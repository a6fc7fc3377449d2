// Maps names of tools to names that every provider accepts, and back: at most 64 of `[A-Za-z0-9_-]`, letter first.
export interface Names {
  readonly toProvider: (name: string) => string
  readonly fromProvider: (name: string) => string
}

const accepted = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/u

const shorten = (name: string): string => {
  const clean = name.replaceAll(/[^A-Za-z0-9_-]/gu, "_").replace(/^(?![A-Za-z_])/u, "_")
  return clean.slice(0, 64)
}

const same = (name: string): string => name

/** The names of one request; two tools never share one. */
export const makeNames = (tools: ReadonlyArray<string>): Names => {
  if (tools.every((name) => accepted.test(name))) {
    return { toProvider: (name) => accepted.test(name) ? name : shorten(name), fromProvider: same }
  }
  const taken = new Map<string, string>(tools.filter((name) => accepted.test(name)).map((name) => [name, name]))
  const sent = new Map<string, string>()
  for (const name of tools) {
    if (accepted.test(name)) continue
    const base = shorten(name)
    let free = base
    for (let number = 2; taken.has(free); number++) {
      const suffix = `_${number}`
      free = `${base.slice(0, 64 - suffix.length)}${suffix}`
    }
    taken.set(free, name)
    sent.set(name, free)
  }
  return {
    toProvider: (name) => sent.get(name) ?? (accepted.test(name) ? name : shorten(name)),
    fromProvider: (name) => taken.get(name) ?? name
  }
}
