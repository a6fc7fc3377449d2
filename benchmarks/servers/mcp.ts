/** The tool echo among `TOOLS` tools, in memory, with the whole door and telemetry on, or with nothing on (`DOOR=off`). */
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { App, Audit, Auth, Budget, BudgetStore, Hook, Policy, RateLimit, RunStore, Server } from "fastagentic"
import { Otlp } from "fastagentic/otlp"
import { writeFileSync } from "node:fs"
import { Closed, Silent } from "../door/closed.ts"

const on = process.env["DOOR"] !== "off"

const toolNamed = (name: string) =>
  Tool.make(name, {
    description: "Says what you say",
    parameters: Schema.Struct({ message: Schema.String }),
    success: Schema.Struct({ message: Schema.String })
  }).annotate(Policy.Scopes, on ? ["echo:say"] : []).annotate(Tool.Readonly, true)

const others = Array.from({ length: Number(process.env["TOOLS"] ?? 1) - 1 }, (_, i) => toolNamed(`other_${i}`))
const Tools = Toolkit.make(toolNamed("echo"), ...others)

const Nothing = Hook.make("nothing")
const Declared = App.make("mcp", { version: "1.0.0", tools: Tools })
const Echo = on ? Declared.hook(Nothing) : Declared

const Handlers = Layer.merge(
  Tools.toLayer(
    Object.fromEntries(
      Object.keys(Tools.tools).map((
        name
      ) => [name, ({ message }: { readonly message: string }) => Effect.succeed({ message })])
    )
  ),
  Nothing.toLayer({ request: (call, next) => next(call) })
)

/** The audit log in memory keeps every entry: where the heap is measured, nothing may. */
const Log = process.env["HEAP_FILE"] === undefined ? Audit.layerMemory : Silent
const Stores = Layer.mergeAll(RunStore.RunStore.layerMemory, Log, BudgetStore.BudgetStore.layerMemory)
const Open = Layer.mergeAll(Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)

// A normal exit writes the profile that `CPU_PROF` requests.
process.on("SIGTERM", () => process.exit())
// The heap after a collection, where `HEAP_FILE` says.
process.on("SIGUSR2", () => {
  globalThis.gc?.()
  writeFileSync(process.env["HEAP_FILE"] ?? "/dev/null", String(process.memoryUsage().heapUsed))
})

await Server.layer(Echo, { port: Number(process.env["PORT"]) }).pipe(
  Layer.provide([Handlers, on ? Closed : Open]),
  Layer.provide(Stores),
  Layer.provide(Otlp.layerConfig({ serviceName: "mcp" })),
  Layer.launch,
  Effect.runPromise
)
