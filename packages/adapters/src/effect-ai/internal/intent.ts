// Reads the intent of a question from its words: the verb, references to earlier objects, and whether it is an order.
import type { ToolShape } from "./toolShape.ts"
import { changingConcepts, conceptOf, isVerb, type Token } from "./words.ts"

/** The intent of a question, independent of the tools. */
export interface Intent {
  /** The question says "in full" or "everything". */
  readonly wantsAll: boolean
  /** The question says "it" or "that". */
  readonly refersBack: boolean
  /** Whether the question orders the action instead of asking about it: "refund order 7", not "was my refund paid". */
  readonly orders: (verb: Pick<ToolShape, "effect" | "verb">) => boolean
}

const fullWords = new Set("all full fully entire entirely whole everything completely total".split(" "))
const pronouns = new Set("it that this them".split(" "))
const questionLeads = new Set("how what when which who why did was were is are has have".split(" "))
const pastLeads = new Set("why did was were has have who when".split(" "))
const nounLeads = new Set("the my any this that last their your for about on of".split(" "))
const conjunctions = new Set("and then please to".split(" "))
const negations = new Set(["not", "don't", "don’t", "never", "without"])

export const read = (tokens: ReadonlyArray<Token>): Intent => {
  const words = tokens.map((token) => token.text.toLowerCase())
  const concepts = tokens.map((token, index) => token.quoted ? "" : conceptOf(words[index] ?? ""))
  return {
    wantsAll: words.some((word) => fullWords.has(word)),
    refersBack: words.some((word) => pronouns.has(word)),
    orders: ({ effect, verb }) => {
      const index = concepts.indexOf(verb)
      const leads = effect === "writes" ? questionLeads : pastLeads
      const earlier = words.slice(0, Math.max(0, index))
      if (index < 0 || leads.has(words[0] ?? "") || earlier.some((word) => negations.has(word))) return false
      const previous = earlier.at(-1) ?? ""
      if (effect !== "writes" || conjunctions.has(previous)) return true
      return !nounLeads.has(previous) && !earlier.some(isVerb)
    }
  }
}

/** Whether the question orders a change that no tool can make. */
export const isOutOfReach = (intent: Intent, shapes: ReadonlyArray<ToolShape>): boolean =>
  changingConcepts.some((verb) =>
    intent.orders({ effect: "writes", verb }) && !shapes.some((shape) => shape.verb === verb)
  )
