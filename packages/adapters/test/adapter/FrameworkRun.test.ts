import { assert, describe, it } from "@effect/vitest"
import { FrameworkRun } from "@fastagentic/adapters/adapter"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect } from "effect"

const inRun = (runId: string) => <A, E>(effect: Effect.Effect<A, E, CurrentRun>) =>
  // cast: nothing but the record is read here.
  Effect.provideService(effect, CurrentRun, { record: { runId } } as unknown as CurrentRun["Service"])

const idOf = CurrentRun.useSync(({ record }) => record.runId)

describe("a framework inside a run", () => {
  it.live("a run that a tool of another run starts in the same process is itself, not the other one", () =>
    Effect.gen(function*() {
      const inner = FrameworkRun.within((run) => run.promise(idOf)).pipe(inRun("inner"))
      const outer = FrameworkRun.within((run) =>
        run.promise(run.wait(async () => [await Effect.runPromise(inner), await run.promise(idOf)]))
      )
      assert.deepStrictEqual(yield* inRun("outer")(outer), ["inner", "outer"])
    }))

  it.live("a defect of a call ends the run, also when the framework catches its rejection", () =>
    Effect.gen(function*() {
      const swallowed = FrameworkRun.within(async (run) => {
        await run.promise(Effect.die("over budget")).catch(() => {})
        run.signal.throwIfAborted()
        return new Promise<string>((_resolve, reject) =>
          run.signal.addEventListener("abort", () => reject(new Error()))
        )
      })
      const exit = yield* Effect.exit(inRun("one")(swallowed))
      assert.strictEqual(exit._tag, "Failure")
      assert.include(JSON.stringify(exit), "over budget")
    }))
})
