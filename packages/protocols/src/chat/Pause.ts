// The pause of an answer as its writers keep it: the questions that are open, and the reason for which the run waits.
import type { ChatPart, Question } from "./ChatPart.ts"

/** An open question, and whether the reader of the answer may decide it. */
export interface Asked {
  readonly question: Question
  readonly mayDecide: boolean
}

/** Waits that no decision ends. */
const held: ReadonlySet<string> = new Set(["principal", "migration", "repair"])

export class Pause {
  private readonly open = new Map<string, Asked>()
  /** The newest wait of the run. */
  on: Extract<ChatPart, { readonly _tag: "Waiting" }> | undefined

  /** Takes a part of the answer in; `decidable` holds the ids of the interrupts that the reader may decide. */
  add(part: ChatPart, decidable: ReadonlySet<string>): void {
    if (part._tag === "Waiting") this.on = part
    else if (part._tag === "Answered") this.open.delete(part.answer.id)
    else if (part._tag === "Question") {
      const { question } = part
      this.open.set(question.notice.id, { question, mayDecide: decidable.has(question.notice.id) })
    }
  }

  get questions(): ReadonlyArray<Asked> {
    return [...this.open.values()]
  }

  /** The calls of the client's tools that wait for their results, where the reader may give them. */
  get calls(): ReadonlyArray<Question> {
    return this.questions.flatMap(({ mayDecide, question }) => question.byClient && mayDecide ? [question] : [])
  }

  /** The questions for people. */
  get asked(): ReadonlyArray<Asked> {
    return this.questions.filter(({ mayDecide, question }) => !(question.byClient && mayDecide))
  }

  /** Whether the next message of the chat continues the run. */
  get awaitsMessage(): boolean {
    return this.on?.forMessage === true
  }

  /** Whether decisions continue the run. */
  get asks(): boolean {
    return this.open.size > 0 && !held.has(this.on?.on.reason ?? "")
  }
}
