// An app whose tools are each behind one policy, and the paths on which a tool call comes to its policy. PathMatrix.test.ts
// runs every policy on every path and store.
import { Effect, Layer, Redacted, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  Hook,
  Policy,
  PolicyRules,
  Principal,
  RateLimit,
  Run,
  RunStore,
  ScheduleStore,
  Server,
  ToolCall,
  ToolPolicy
} from "fastagentic"
import { urlOf } from "../serving.ts"
import * as Transports from "./transports.ts"

const shape = { parameters: Schema.Struct({ mark: Schema.String }), success: Schema.String }
const Tools = Toolkit.make(
  Tool.make("free", shape),
  Tool.make("scoped", shape).annotate(Policy.Scopes, ["tools:scoped"]),
  Tool.make("ruled", shape),
  Tool.make("rated", shape),
  Tool.make("hooked", shape),
  Tool.make("judged", shape),
  Tool.make("asking", { ...shape, needsApproval: true })
    .annotate(Policy.Approval, { scopes: ["tools:approve"], notRequester: true })
)

const payload = { tool: Schema.String, mark: Schema.Json, pauses: Schema.optionalKey(Schema.Boolean) }
const NoHooked = Hook.make("no hooked")

class Uses extends Agent.make("uses", { description: "Calls a tool", payload }) {}
class Boss extends Agent.make("boss", { description: "Lets another agent call it", payload }) {}
export class ToolLab extends App.make("lab", { version: "1", agents: [Uses, Boss], tools: Tools }).hook(NoHooked) {}

/** A mark that begins so is asked about before each policy that sees arguments: its edit is what they see. */
const isAsked = (args: unknown) => JSON.stringify(args).includes("\"ask ")

const handlers = (done: Map<string, number>) => {
  const work = ({ mark }: { readonly mark: string }) =>
    Effect.sync(() => {
      done.set(mark, (done.get(mark) ?? 0) + 1)
      return "done"
    })
  return Layer.mergeAll(
    Uses.toLayer(Effect.fn(function*({ mark, pauses, tool }) {
      if (pauses === true) yield* Effect.orDie(Run.interrupt("go", { schema: Schema.Unknown }))
      const handlers = ToolCall.handlersOf(yield* Tools)
      const { denied, result } = yield* Effect.orDie(
        ToolCall.invoke(handlers, { toolCallId: "call", name: tool, arguments: { mark } })
      )
      return denied || result !== "done" ? `refused: ${JSON.stringify(result)}` : "done"
    })),
    Boss.toLayer((asked) => Effect.orDie(Run.delegate(Uses, asked))),
    NoHooked.toLayer({
      tool: (call, next) =>
        call.name === "hooked" && !isAsked(call.arguments) ? Hook.block(NoHooked, "tool", "hands off") : next(call)
    })
  ).pipe(Layer.provideMerge(Tools.toLayer({
    free: work,
    scoped: work,
    ruled: work,
    rated: work,
    hooked: work,
    judged: work,
    asking: work
  })))
}

const policies = Layer.mergeAll(
  ToolPolicy.layer(({ arguments: args, declared, tool }) =>
    Effect.succeed(
      isAsked(args)
        ? { decision: "ask", scopes: ["tools:approve"], notRequester: true } as const
        : JSON.stringify(args).includes("\"big ")
        ? { decision: "ask", scopes: ["big:approve"], notRequester: true } as const
        : tool === "judged"
        ? { decision: "deny", reason: "not this tool" } as const
        : declared
    )
  ),
  PolicyRules.layer([{
    name: "no ruled",
    allows: ({ identifier, kind }) => !(kind === "tool" && identifier === "ruled")
  }]),
  RateLimit.layer([{ name: "rate", by: ["user"], limit: 1, window: "1 day", endpoints: ["tool/rated"] }])
)

const person = (id: string, ...scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant: "acme", scopes, roles: [], claims: {} })
})

/** `ann` calls, also what asks for an approval, which `ann` could give for others; `lead` decides. */
const people = Auth.layerKeys([
  person("ann", "schedules:manage", "tools:approve"),
  person("lead", "tools:approve", "audit:read", "runs:read:tenant")
])

type Stores = RunStore.RunStore | Audit.Audit

export const serveTools = Effect.fnUntraced(function*<E>(
  stores: Layer.Layer<Stores | ScheduleStore.ScheduleStore, E>
) {
  const done = new Map<string, number>()
  const context = yield* Layer.build(
    Layer.fresh(Server.layer(ToolLab, { port: 0, grace: "200 millis" })).pipe(
      Layer.provide([handlers(done), people, Budget.layerUnlimited, policies, Layer.fresh(stores)])
    )
  )
  const url = urlOf(context)

  const call = (who: "ann" | "lead", method: string, path: string, body?: unknown) =>
    Effect.promise(() =>
      Transports.request(url + path, {
        method,
        headers: { ...Transports.json, "x-api-key": `key-of-${who}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
    )

  /** The run once it has ended, or it, or the one that it has delegated to, waits for a person. */
  const settled = Effect.fnUntraced(function*(runId: string) {
    while (true) {
      const { body } = yield* call("ann", "GET", `/runs/${runId}`)
      if (body.finishedAt !== undefined || body.waitsFor === "interrupt") return body
      const children = body.waitsFor === "child"
        ? (yield* call("ann", "GET", `/runs?parentRunId=${runId}`)).body.items
        : []
      const waiting = children.find((child: { readonly waitsFor?: string }) => child.waitsFor === "interrupt")
      if (waiting !== undefined) return waiting
      yield* Effect.sleep("5 millis")
    }
  })

  const answer = Effect.fnUntraced(function*(who: "ann" | "lead", runId: string, decision: object) {
    const { body } = yield* call(who, "GET", `/runs/${runId}/interrupts`)
    const open = body.items.find(({ state }: { readonly state: string }) => state === "open")
    return yield* call(who, "POST", `/runs/${runId}/interrupts/${open.id}`, decision)
  })

  const started = (path: string, body: unknown) =>
    Effect.map(call("ann", "POST", path, body), (response) => {
      const { body, headers } = response
      return { response, runId: String(body?.runId ?? headers.get("x-run-id") ?? "") }
    })

  return { call, settled, answer, started, done }
})

export type Lab = Effect.Success<ReturnType<typeof serveTools>>
