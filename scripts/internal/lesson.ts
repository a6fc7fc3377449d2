// A page of the tutorial as the parts that a reader acts on, for scripts/tutorial.ts. A code block is a file when the text
// before it ends with "`path`:", a command when its language is sh, and after a command what the command prints. A text that
// says to stop the server is Ctrl+C in its terminal.

export type Part =
  | { readonly kind: "stop" }
  | { readonly kind: "file"; readonly path: string; readonly text: string }
  | { readonly kind: "command" | "answer"; readonly text: string }

export const lessonOf = (page: string): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  for (const { 1: before = "", 2: language, 3: text = "" } of page.matchAll(/([^]*?)^```(\w+)\n([^]*?)^```/gmu)) {
    if (/\bstop (?:`npm run dev`|the server)/iu.test(before)) parts.push({ kind: "stop" })
    const path = /`([\w./-]+)`:\n\n$/u.exec(before)?.[1]
    if (path !== undefined) parts.push({ kind: "file", path, text })
    else if (language === "sh") parts.push({ kind: "command", text })
    else if (parts.at(-1)?.kind === "command") parts.push({ kind: "answer", text })
    else throw new Error(`tutorial: no command gives ${text}`)
  }
  return parts
}

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&")

/** The pattern of a shown answer: `…` is any text, `<name>` a new name, or the value that it has by now. */
export const patternOf = (answer: string, names: ReadonlyMap<string, string>): RegExp => {
  const seen = new Set<string>()
  const source = answer.trim().split(/(…|<\w+>)/u).map((piece) => {
    if (piece === "…") return "[^]*?"
    const name = /^<(\w+)>$/u.exec(piece)?.[1]
    if (name === undefined) return escaped(piece)
    const known = names.get(name)
    if (known !== undefined) return escaped(known)
    if (seen.has(name)) return `\\k<${name}>`
    seen.add(name)
    return `(?<${name}>[\\w./~:-]+)`
  }).join("")
  return new RegExp(`^${source}$`, "u")
}
