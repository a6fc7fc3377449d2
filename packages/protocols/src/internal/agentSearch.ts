// The search of agents by words and a tag, for the list of REST.

/** The texts of an agent that a search looks at. */
export interface Searched {
  readonly identifier: string
  readonly title?: string | undefined
  readonly description: string
  readonly tags: ReadonlyArray<string>
  readonly examples: ReadonlyArray<string>
}

export interface AgentQuery {
  /** Words that all have to be in some text of the agent, in any case. */
  readonly query?: string | undefined
  /** A tag that the agent has to have, in any case. */
  readonly tag?: string | undefined
}

/** Whether an agent is one of those that are looked for. */
export const makeSearch = ({ query = "", tag }: AgentQuery): (agent: Searched) => boolean => {
  const words = query.toLowerCase().split(/\s+/u).filter((word) => word !== "")
  const wanted = tag?.toLowerCase()
  return ({ description, examples, identifier, tags, title = "" }) => {
    if (wanted !== undefined && !tags.some((one) => one.toLowerCase() === wanted)) return false
    if (words.length === 0) return true
    const text = [identifier, title, description, ...tags, ...examples].join("\n").toLowerCase()
    return words.every((word) => text.includes(word))
  }
}
