// The parts of a chat answer, as `ChatView` makes them of a journal and the writers of the front ends take them.
import type * as Content from "@fastagentic/core/run/Content"
import type { Data, Failure, Usage } from "@fastagentic/core/run/Event"
import type { Schema } from "effect"

/** A pause that asks for a decision, and the tool call that shows it. */
export interface Question {
  readonly notice: Data<"interrupt">
  readonly toolCallId: string
  /** It is a call of a tool of the client, and asks nobody. */
  readonly byClient: boolean
}

/** The kind of question that a call stands for which no tool takes; tools have their own calls. */
export type StandsFor = "approval" | "input" | undefined

/** A part of an answer. Text and reasoning come between a start and an end of their id. */
export type ChatPart =
  | { readonly _tag: "Start"; readonly kind: "text" | "reasoning"; readonly id: string }
  | { readonly _tag: "Delta"; readonly kind: "text" | "reasoning"; readonly id: string; readonly delta: string }
  | { readonly _tag: "End"; readonly kind: "text" | "reasoning"; readonly id: string }
  | { readonly _tag: "ToolStart"; readonly toolCallId: string; readonly name: string; readonly byClient: boolean }
  | { readonly _tag: "ToolDelta"; readonly toolCallId: string; readonly delta: string }
  | {
    readonly _tag: "ToolInput"
    readonly toolCallId: string
    readonly name: string
    readonly input: Schema.Json
    readonly standsFor: StandsFor
    /** The tool is the client's: it runs the call, and gives the result. */
    readonly byClient: boolean
  }
  | { readonly _tag: "ToolProgress"; readonly toolCallId: string; readonly data: Schema.Json }
  | {
    readonly _tag: "ToolResult"
    readonly toolCallId: string
    readonly outcome: "ok" | "error" | "denied"
    readonly output: Schema.Json
    readonly standsFor: StandsFor
    /** The client has given it. */
    readonly byClient: boolean
  }
  | { readonly _tag: "Content"; readonly id: string; readonly contents: Content.List }
  | { readonly _tag: "Question"; readonly question: Question }
  | {
    readonly _tag: "Answered"
    readonly question: Question
    readonly answer: Data<"interrupt_resolved">
  }
  | { readonly _tag: "State"; readonly state: Schema.Json }
  | { readonly _tag: "StatePatch"; readonly patch: ReadonlyArray<Schema.Json> }
  | { readonly _tag: "Custom"; readonly name: string; readonly value: Schema.Json }
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Stale" }
  | { readonly _tag: "Output"; readonly output: Schema.Json }
  | {
    readonly _tag: "Completed"
    readonly output: Schema.Json
    readonly usage: Usage | undefined
    /** The answer is the text of a model that its limit of output tokens has cut off. */
    readonly isCut: boolean
  }
  | { readonly _tag: "Failed"; readonly failure: Failure }
  | { readonly _tag: "Cancelled"; readonly reason: string }
  | { readonly _tag: "Waiting"; readonly on: Data<"run_suspended">; readonly seq: number; readonly forMessage: boolean }
