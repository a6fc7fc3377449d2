// The play that an adapter's fake model performs in the conformance kit: the answers of the model, the tools, and the place
// where the process dies. A fixture asks it for each answer; the kit reads afterwards which work was done.
import { Schema } from "effect"

/** One answer of the model: tokens, then tool calls. */
export interface Turn {
  readonly texts: ReadonlyArray<string>
  readonly calls: ReadonlyArray<
    { readonly id: string; readonly name: ToolName; readonly args: { readonly order: number } }
  >
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number }
}

export type ToolName = "look" | "refund" | "pay"

/** The declared error of the kit's agent. */
export class NoSuchOrder extends Schema.TaggedError<NoSuchOrder>()(
  "NoSuchOrder",
  { order: Schema.Int },
  { httpApiStatus: 404 }
) {}

const usage = { inputTokens: 10, outputTokens: 3 }
const say = (...texts: ReadonlyArray<string>): Turn => ({ texts, calls: [], usage })
const call = (name: ToolName, order: number, ...texts: ReadonlyArray<string>): Turn => ({
  texts,
  calls: [{ id: `${name}_${order}`, name, args: { order } }],
  usage
})

/** The scripts, by the question that is asked. */
export const scripts = {
  plain: [call("look", 7, "Let me ", "look. "), call("refund", 7, "Now ", "refund. "), say("It ", "is ", "done.")],
  approve: [call("pay", 9, "I ", "pay. "), say("All ", "paid.")],
  pair: [
    {
      texts: ["Both. "],
      calls: [{ id: "x", name: "look", args: { order: 1 } }, { id: "y", name: "refund", args: { order: 1 } }],
      usage
    },
    { texts: ["Again. "], calls: [{ id: "x", name: "refund", args: { order: 2 } }], usage },
    say("Done.")
  ],
  twins: [say("This ", "is ", "one.")],
  missing: [say("never")],
  broken: [say("never")],
  tooLong: [say("never")]
} satisfies Record<string, ReadonlyArray<Turn>>

export type Question = keyof typeof scripts

const questions: ReadonlyArray<Question> = ["plain", "approve", "pair", "twins", "missing", "broken", "tooLong"]

/** The place of the process when it dies: in an answer of the model, or in a tool. */
export type Point = `model ${number}` | `tool ${ToolName}`

export class Play {
  /** The work that has begun, in order. */
  readonly begun: Array<Point> = []
  /** The work that has ended. */
  readonly ended: Array<Point> = []
  /** The arguments that tools got, and the results that models read. */
  readonly args: Array<unknown> = []
  readonly read: Array<string> = []
  readonly asked: Array<string> = []
  aborted = false
  /** Whether the work was done by the tools of the app, and not by tools of the framework. */
  injected = false
  private readonly hangsAt: Point | undefined
  private onHang: (() => void) | undefined
  /** Settles when the work hangs at the point that was given. */
  readonly hangs: Promise<void>

  constructor(hangsAt?: Point) {
    this.hangsAt = hangsAt
    this.hangs = new Promise((resolve) => {
      this.onHang = resolve
    })
  }

  /** The answer of the model when it has answered so often before; `heard` is all that it reads, as JSON. */
  async answer(answers: number, heard: string, signal?: AbortSignal): Promise<Turn> {
    const question = questions.find((one) => heard.includes(`"${one}"`))
    if (question === undefined) throw new Error(`the play has no question in ${heard}`)
    this.asked.push(heard)
    const point: Point = `model ${answers}`
    this.begun.push(point)
    await this.pass(point, signal)
    if (question === "missing") throw new NoSuchOrder({ order: 4 })
    if (question === "broken") throw Object.assign(new Error("password=hunter2"), { status: 503 })
    if (question === "tooLong") {
      throw Object.assign(new Error("prompt is too long: 203456 tokens > 200000 maximum"), { status: 400 })
    }
    const turn: Turn | undefined = scripts[question][answers]
    if (turn === undefined) throw new Error(`the play has no answer ${answers}`)
    this.ended.push(point)
    return turn
  }

  /** The work of a tool. */
  async work(name: ToolName, args: { readonly order: number }, signal?: AbortSignal): Promise<string> {
    const point: Point = `tool ${name}`
    this.begun.push(point)
    this.args.push(args)
    await this.pass(point, signal)
    this.ended.push(point)
    return `${name} of ${args.order} is done`
  }

  private async pass(point: Point, signal: AbortSignal | undefined) {
    if (point !== this.hangsAt) return
    this.onHang?.()
    await new Promise<never>((_resolve, reject) => {
      signal?.addEventListener("abort", () => {
        this.aborted = true
        reject(new Error("the play was aborted"))
      })
    })
  }
}
