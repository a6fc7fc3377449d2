// The edits that approvers of hooks have made to one tool call: Hook.suspend writes them, ToolCall lets every hook see the
// edited call, and a hook does not ask again about what its own approver wrote.
import { Context, type Schema } from "effect"

export type CallEdits = Map<string, Schema.Json>

export const CurrentEdits = Context.Reference<CallEdits>("@fastagentic/core/hook/internal/callEdits/CurrentEdits", {
  defaultValue: () => new Map()
})
