import { assert, describe, it } from "@effect/vitest"
import * as core from "@fastagentic/core"
import { Schema } from "effect"

/** The names and messages that users build on. A change here is a change for them. */
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
        ThreadNotFound: 404,
        ScheduleExists: 409,
        FileNotFound: 404,
        FilesUnavailable: 501,
        ShuttingDown: 503,
        TooManyOpen: 429
      }
    )
    assert.deepStrictEqual([status(core.RunError.ToolDenied), status(core.Run.InterruptDenied)], [403, 403])
  })

  it("the message of each error, which every protocol shows", () => {
    const E = core.RunError
    const resolution = { decision: "deny", by: "user:ada", at: 1 } as const
    const reasons = [
      new E.InvalidPayload({
        target: "greet",
        issues: [{ path: ["person", "name"], message: "Missing key" }, { path: [], message: "Expected object" }]
      }),
      new E.InvalidCursor({ cursor: "x", reason: "a cursor is an event number" }),
      new E.Unauthenticated({ reason: "credentials are required" }),
      new E.Forbidden({ rule: "own runs", missing: [] }),
      new E.Forbidden({ rule: "scopes", missing: ["a", "b"] }),
      new E.NotDeclared({ kind: "agent", identifier: "greet" }),
      new E.RunNotFound({ runId: "r1" }),
      new E.InterruptNotFound({ runId: "r1", id: "i1" }),
      new E.InterruptResolved({ runId: "r1", id: "i1", resolution }),
      new E.DecisionPending({ runId: "r1", interrupts: ["i1", "i2"] }),
      new E.RunFinished({ runId: "r1", state: "completed" }),
      new E.IdempotencyConflict({ key: "k", runId: "r1" }),
      new E.RateLimited({ rule: "daily", limit: 5, windowMillis: 60_000, retryAfterMillis: 1_200 }),
      new E.TooManyOpen({ rule: "open runs", limit: 5 }),
      new E.BudgetExceeded({ budget: "daily" }),
      new E.HookBlocked({ hook: "topics", point: "request", reason: "no politics" }),
      new E.StoreUnavailable({ operation: "commit", cause: new Error("password=secret") }),
      new E.JournalDamaged({ runId: "r1", what: "event 3" }),
      new E.ThreadBusy({ threadId: "t1", runId: "r1" }),
      new E.ThreadNotFound({ threadId: "t1" }),
      new E.ScheduleExists({ id: "nightly", declared: true }),
      new E.FileNotFound({ fileId: "f1" }),
      new E.FilesUnavailable(),
      new E.ShuttingDown()
    ]
    assert.sameMembers(reasons.map(({ _tag }) => _tag), [
      ...E.Reason.members.map(({ identifier }) => identifier),
      "Forbidden"
    ])
    assert.deepStrictEqual(reasons.map((reason) => new E.RunError({ reason }).message), [
      "The input for \"greet\" is invalid: person.name: Missing key; Expected object. Correct it and send it again.",
      "The cursor \"x\" is invalid: a cursor is an event number.",
      "Authentication failed: credentials are required. Send valid credentials.",
      "The rule \"own runs\" does not allow this.",
      "The rule \"scopes\" does not allow this: the caller lacks the scopes a, b.",
      "There is no agent \"greet\" here. Check its name.",
      "There is no run \"r1\", or it belongs to somebody else. Check its id.",
      "The run \"r1\" has no interrupt \"i1\". Read the interrupts of the run.",
      "The interrupt \"i1\" was resolved before (deny). That decision stands.",
      "The run \"r1\" waits for a decision about i1, i2. Resolve it first.",
      "The run \"r1\" is completed, so it cannot be changed any more.",
      "The run \"r1\" has used this idempotency key with another input. Send a new key.",
      "The limit \"daily\" allows 5 calls in 60 s. Try again in 2 s.",
      "The rule \"open runs\" allows one caller 5 at a time. Close one, or wait until one has ended.",
      "The budget \"daily\" is used up. Wait for its next period, or ask for a higher one.",
      "no politics",
      "The store is not available. Try again in a moment.",
      "The stored data of the run \"r1\" is damaged (event 3). An operator has to look at it.",
      "The run \"r1\" of the thread \"t1\" has not ended. Wait for its end, or cancel it.",
      "There is no thread \"t1\", or it belongs to somebody else. Check its id.",
      "There is a schedule \"nightly\" already, which the app declares. Choose another id.",
      "There is no file \"f1\", or it belongs to somebody else. Check its id.",
      "This server keeps no files. Send the bytes in base64 with the call.",
      "The server is shutting down. Try again in a moment."
    ])
    const others = [
      new E.PriceUnknown({ model: "m" }),
      new E.OutputUnlimited({ model: "m" }),
      new E.ToolDenied({ tool: "refund" }),
      new E.ToolDenied({ tool: "refund", reason: "too much" }),
      new core.Run.InterruptDenied({ name: "ok" }),
      new core.Run.InterruptDenied({ name: "ok", reason: "not today" })
    ]
    assert.deepStrictEqual(others.map(({ message }) => message), [
      "A budget is in force, and the price of the model \"m\" is unknown. Add the price, or use a model that has one.",
      "A budget is in force, and the model \"m\" has no limit on its output tokens. Set one.",
      "The call of the tool \"refund\" was denied.",
      "The call of the tool \"refund\" was denied: too much",
      "The request \"ok\" was denied.",
      "The request \"ok\" was denied: not today"
    ])
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
      "signal",
      "signal_received",
      "message_received",
      "usage",
      "state_snapshot",
      "state_delta",
      "hook_decision",
      "budget",
      "superseded",
      "undo",
      "progress",
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
