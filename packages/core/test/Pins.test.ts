import { assert, describe, it } from "@effect/vitest"
import * as core from "@fastagentic/core"
import { Schema } from "effect"

/** What others build on. A change here is a change for them. */
describe("Pins", () => {
  it("the modules of core, to which others may be added", () => {
    assert.includeMembers(Object.keys(core), [
      "Agent",
      "App",
      "Audit",
      "Auth",
      "Authorization",
      "Budget",
      "Caller",
      "Credentials",
      "Event",
      "Fusion",
      "Hook",
      "Interrupt",
      "JsonSchema",
      "Policy",
      "PolicyRules",
      "Principal",
      "PromptTemplate",
      "RateLimit",
      "Resource",
      "Run",
      "RunError",
      "RunRecord",
      "RunStore",
      "Runtime",
      "ToolCall"
    ])
  })

  it("the errors and their statuses", () => {
    const status = (schema: Schema.Constraint) => Schema.resolveAnnotations(schema)?.["httpApiStatus"]
    assert.deepStrictEqual(
      Object.fromEntries(core.RunError.Reason.members.map((member) => [member.identifier, status(member)])),
      {
        InvalidPayload: 400,
        InvalidCursor: 400,
        Unauthenticated: 401,
        Forbidden: 403,
        NotDeclared: 404,
        RunNotFound: 404,
        InterruptNotFound: 404,
        InterruptResolved: 409,
        DecisionPending: 409,
        RunFinished: 409,
        IdempotencyConflict: 409,
        RateLimited: 429,
        BudgetExceeded: 402,
        HookBlocked: 403,
        StoreUnavailable: 503,
        JournalDamaged: 500,
        ThreadBusy: 409,
        ScheduleExists: 409,
        ShuttingDown: 503
      }
    )
    assert.deepStrictEqual([status(core.RunError.ToolDenied), status(core.Run.InterruptDenied)], [403, 403])
  })

  it("the event types", () => {
    assert.deepStrictEqual(Object.keys(core.Event.schemas), [
      "run_started",
      "done",
      "run_queued",
      "run_suspended",
      "run_cancelled",
      "error",
      "node_enter",
      "node_exit",
      "agent_enter",
      "agent_exit",
      "llm_start",
      "llm_end",
      "message_start",
      "token",
      "reasoning_delta",
      "message_end",
      "message",
      "content",
      "tool_call_start",
      "tool_call_delta",
      "tool_call",
      "tool_start",
      "tool_progress",
      "tool_result",
      "checkpoint",
      "interrupt",
      "interrupt_resolved",
      "usage",
      "state_snapshot",
      "state_delta",
      "hook_decision",
      "budget",
      "log",
      "custom",
      "raw"
    ])
  })

  it("the states, decisions and points", () => {
    assert.deepStrictEqual([...core.RunRecord.RunState.literals], [
      "queued",
      "running",
      "suspended",
      "completed",
      "failed",
      "cancelled",
      "rejected"
    ])
    assert.deepStrictEqual([...core.Interrupt.Decision.literals], ["approve", "deny", "edit"])
  })

  it("every event type can be read back from a journal", () => {
    const types = Object.keys(core.Event.schemas)
    const document = JSON.stringify(core.JsonSchema.fromSchema(core.Event.RunEvent))
    for (const type of types) assert.include(document, `"enum":["${type}"]`)
  })
})
