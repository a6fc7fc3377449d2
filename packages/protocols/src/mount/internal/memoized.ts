// A pure function of a text that remembers its results: few hosts and peers make most requests, and parsing is slow.

/** The number of remembered results, because a client may send any text. */
const size = 256

export const memoized = <A extends {}>(compute: (text: string) => A): (text: string) => A => {
  const results = new Map<string, A>()
  return (text) => {
    const known = results.get(text)
    if (known !== undefined) return known
    if (results.size >= size) results.clear()
    const result = compute(text)
    results.set(text, result)
    return result
  }
}
