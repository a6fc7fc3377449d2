// Extensions that a request activates: those of its header that the server declares, which the answer names again. Unknown
// ones are ignored.
import type { AgentCard } from "./A2aSchema.ts"

type Headers = { readonly [name: string]: string | undefined }

/** The headers of the answer to a request with these headers. */
export const of = ({ extensions = [] }: Pick<AgentCard["capabilities"], "extensions">) => {
  const known = new Map(extensions.map(({ uri }) => [uri.toLowerCase(), uri]))
  return (headers: Headers): Record<string, string> => ({
    ...answerTo(known, "a2a-extensions", headers),
    ...answerTo(known, "x-a2a-extensions", headers)
  })
}

/** Version 0.3 has the name with an `X-`. */
const answerTo = (known: ReadonlyMap<string, string>, name: string, headers: Headers): Record<string, string> => {
  const asked = headers[name]?.split(",").map((uri) => known.get(uri.trim().toLowerCase())) ?? []
  const active = new Set(asked.filter((uri) => uri !== undefined))
  return active.size === 0 ? {} : { [name]: [...active].join(", ") }
}
