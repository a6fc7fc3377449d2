import { assert, it } from "@effect/vitest"
import { Python } from "@fastagentic/adapters/python"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { suite } from "../../src/adapter-contract.ts"
import { describeWith, python } from "./interpreters.ts"
import { performing } from "./sharedProcesses.ts"

const folder = fileURLToPath(new URL("python", import.meta.url))

describeWith("A Python function", python, (interpreter) =>
  suite("A Python function", {
    capabilities: Python.callable,
    denial: "run",
    sees: { models: false, tools: false },
    perform: performing(interpreter, "function.py:agent")
  }))

it.effect("an agent of Python is refused in a line on Windows", () =>
  Effect.gen(function*() {
    const { platform } = process
    yield* Effect.acquireRelease(
      Effect.sync(() => Object.defineProperty(process, "platform", { value: "win32" })),
      () => Effect.sync(() => Object.defineProperty(process, "platform", { value: platform }))
    )
    const { message } = yield* Effect.flip(Python.discover({ entrypoint: "function.py:agent", cwd: folder }))
    assert.match(message, /^function\.py:agent: .* Windows: start the server in WSL or in a container$/u)
  }).pipe(Effect.scoped))
