// Runs a workflow of Mastra as steps of the run: each step's result is stored, a step that suspends asks a human and runs again
// with the answer, and a sleep outlives restarts. MastraWorkflows.ts calls it; a resumed run goes through the workflow again.
import { Event, Run } from "@fastagentic/core"
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { AnyWorkflow, DefaultExecutionEngine } from "@mastra/core/workflows"
import { Predicate, Schema } from "effect"
import { AsyncLocalStorage } from "node:async_hooks"
import { Thrown } from "../../adapter/AdapterError.ts"
import type { FrameworkRun } from "../../adapter/FrameworkRun.ts"
import { toJson } from "../../adapter/Json.ts"
import type { Library } from "./library.ts"

type Engine = DefaultExecutionEngine
type StepParams = Parameters<Engine["executeStep"]>[0]
type Nested = Parameters<Engine["executeWorkflowStep"]>[0]
type SleepParams = Parameters<Engine["executeSleep"]>[0]

/** The step that the code works in: its names belong to it, however many steps run beside it. */
interface Place {
  readonly key: string
  readonly isWorkflow: boolean
}

const isWorkflow = (step: StepParams["step"]) => step.component === "WORKFLOW"

/** The name of a step. Mastra makes another id for a mapping in each process. */
const nameOf = ({ executionContext: { executionPath, foreachIndex }, step: { id } }: StepParams) => {
  const name = id.startsWith("mapping_") ? `map ${executionPath.join(".")}` : id
  return foreachIndex === undefined ? name : `${name} ${foreachIndex}`
}

/** The schema of an answer, where the step has one that says it as JSON Schema. */
const answerSchema = (schema: unknown): ReturnType<typeof JsonSchema.toSchema> => {
  const standard = Predicate.hasProperty(schema, "~standard") ? schema["~standard"] : undefined
  const made = Predicate.hasProperty(standard, "jsonSchema") ? standard.jsonSchema : undefined
  const input = Predicate.hasProperty(made, "input") ? made.input : undefined
  if (typeof input !== "function") return Schema.Json
  const written = toJson(input({ target: "draft-2020-12" }))
  // cast: an object that is JSON.
  return Predicate.isObject(written) ? JsonSchema.toSchema(written as Record<string, Schema.Json>) : Schema.Json
}

export const runWorkflow = async (
  { DefaultExecutionEngine }: Library,
  framework: FrameworkRun,
  workflow: AnyWorkflow,
  runId: string,
  inputData: unknown
): Promise<unknown> => {
  const places = new AsyncLocalStorage<Place>()
  let failed: { readonly cause: unknown } | undefined
  const keyOf = (name: string) => {
    const outer = places.getStore()
    return outer === undefined ? name : `${outer.key}/${name}`
  }
  const emit = (event: Event.Event) => framework.promise(Run.emit(event))

  const ask = (name: string, { resumeSchema }: StepParams["step"], payload: unknown) =>
    framework.promise(
      Run.interrupt(name, { schema: answerSchema(resumeSchema), message: `${name} asks`, arguments: toJson(payload) })
    )

  const engineOf = (of: AnyWorkflow): Engine => {
    class RunEngine extends DefaultExecutionEngine {
      override async executeStep(params: StepParams) {
        const { step } = params
        const key = keyOf(nameOf(params))
        const startedAt = performance.now()
        await emit({ type: "node_enter", data: { nodeId: key, name: step.id, kind: "step" } })
        let status: "ok" | "error" = "error"
        try {
          let next = params
          for (let count = 1;; count++) {
            const pass = places.run({ key, isWorkflow: isWorkflow(step) }, () => super.executeStep(next))
            const done = await pass
            const { result } = done
            if (result.status !== "suspended") {
              if (result.status !== "failed") status = "ok"
              return done
            }
            const answer = await ask(`question ${key}${count === 1 ? "" : ` ${count}`}`, step, result.suspendPayload)
            delete params.executionContext.suspendedPaths[step.id]
            next = {
              ...params,
              stepResults: { ...params.stepResults, [step.id]: result },
              resume: { steps: [step.id], resumePayload: answer ?? true }
            }
          }
        } finally {
          const durationMs = Math.round(performance.now() - startedAt)
          if (!framework.signal.aborted) {
            await emit({ type: "node_exit", data: { nodeId: key, name: step.id, status, durationMs } })
          }
        }
      }

      override async executeStepWithRetry<T>(
        stepId: string,
        runStep: () => Promise<T>,
        params: Parameters<Engine["executeStepWithRetry"]>[2]
      ): ReturnType<typeof DefaultExecutionEngine.prototype.executeStepWithRetry<T>> {
        const place = places.getStore()
        if (place === undefined || place.isWorkflow) return super.executeStepWithRetry(stepId, runStep, params)
        const work = framework.wait(async () => {
          const done = await super.executeStepWithRetry(stepId, runStep, params)
          if (!done.ok) throw done.error.error
          return toJson(done.result)
        })
        try {
          // cast: what is stored is the result of the step as JSON.
          return { ok: true, result: await framework.promise(Run.step(`step ${place.key}`, work)) as T }
        } catch (error) {
          if (!(error instanceof Thrown)) throw error
          failed = { cause: error.cause }
          const cause = error.cause instanceof Error ? error.cause : new Error(String(error.cause))
          return { ok: false, error: { status: "failed", error: cause, endedAt: Date.now() } }
        }
      }

      override isNestedWorkflowStep(step: StepParams["step"]) {
        return isWorkflow(step)
      }

      override async executeWorkflowStep({ inputData, startedAt, step }: Nested) {
        // cast: a step that is a workflow.
        const output = await run(step as unknown as AnyWorkflow, inputData)
        return { status: "success" as const, output, payload: inputData, startedAt, endedAt: Date.now() }
      }

      override async evaluateCondition(...[condition, index, context]: Parameters<Engine["evaluateCondition"]>) {
        const name = `condition ${keyOf(String(index))}`
        const holds = framework.wait(async () => Boolean(await condition(context)))
        return await framework.promise(Run.step(name, holds)) === true ? index : null
      }

      override executeSleep(params: SleepParams) {
        return places.run(sleepAt(params.executionContext.executionPath), () => super.executeSleep(params))
      }

      override executeSleepUntil(params: Parameters<Engine["executeSleepUntil"]>[0]) {
        return places.run(sleepAt(params.executionContext.executionPath), () => super.executeSleepUntil(params))
      }

      override executeSleepDuration(duration: number) {
        const name = places.getStore()?.key ?? ""
        return framework.promise(CurrentRun.use((run) => run.sleep(name, Math.max(0, duration))))
      }

      override executeSleepUntilDate(date: Date) {
        return this.executeSleepDuration(date.getTime() - Date.now())
      }
    }
    const { mastra, options } = of
    return new RunEngine({
      ...(mastra === undefined ? {} : { mastra }),
      options: { ...options, shouldPersistSnapshot: () => false }
    })
  }

  const sleepAt = (path: ReadonlyArray<number>): Place => ({ key: keyOf(path.join(".")), isWorkflow: false })

  /** Writes of steps: a text is a token. */
  const outputWriter = (chunk: unknown) => {
    const payload = Predicate.hasProperty(chunk, "payload") ? chunk.payload : undefined
    const output = Predicate.hasProperty(payload, "output") ? payload.output : chunk
    return emit(
      typeof output === "string"
        ? Event.token(output)
        : { type: "custom", data: { name: "mastra", value: toJson(output) } }
    )
  }

  const run = async (of: AnyWorkflow, inputData: unknown): Promise<unknown> => {
    const made = await of.createRun({ runId: keyOf(runId), shouldPersistSnapshot: () => false })
    made.executionEngine = engineOf(of)
    const cancel = () => void made.cancel()
    framework.signal.addEventListener("abort", cancel, { once: true })
    try {
      const outcome = await made.start({ inputData, outputWriter })
      if (outcome.status === "success") return outcome.result
      if (failed !== undefined) throw failed.cause
      throw outcome.status === "failed" ? outcome.error : new Error(`the workflow ${of.id} ends as ${outcome.status}`)
    } finally {
      framework.signal.removeEventListener("abort", cancel)
    }
  }

  return run(workflow, inputData)
}
