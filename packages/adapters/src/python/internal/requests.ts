// The requests that code of every Python agent may make of its run: a step, a question, a pause. session.ts calls them.
import { type Hook, Run, type RunError } from "@fastagentic/core"
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect, Schema } from "effect"
import type { Thrown } from "../../adapter/AdapterError.ts"
import * as HookBracket from "../../adapter/HookBracket.ts"
import { largest } from "./frames.ts"
import type { Handler } from "./session.ts"

const optional = Schema.optionalKey

const decodeName = Schema.decodeUnknownSync(Schema.Struct({ name: Schema.NonEmptyString }))
const decodeNode = Schema.decodeUnknownSync(Schema.Struct({
  name: Schema.NonEmptyString,
  node: Schema.Struct({
    nodeId: Schema.String,
    name: Schema.String,
    kind: Schema.Literals(["node", "task", "method"])
  })
}))
const decodeSleep = Schema.decodeUnknownSync(
  Schema.Struct({ millis: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)) })
)
const decodeCommit = Schema.decodeUnknownSync(Schema.Struct({ name: Schema.NonEmptyString, value: Schema.Json }))
const decodeCommitted = Schema.decodeUnknownSync(
  Schema.Struct({ name: Schema.NonEmptyString, from: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)) })
)
const decodeInterrupt = Schema.decodeUnknownSync(Schema.Struct({
  name: Schema.NonEmptyString,
  schema: Schema.Record(Schema.String, Schema.Json),
  message: optional(Schema.String),
  arguments: optional(Schema.Json),
  default: optional(Schema.Json),
  expires_in: optional(Schema.Finite),
  scopes: optional(Schema.Array(Schema.String)),
  not_requester: optional(Schema.Boolean)
}))

/** Does work of the worker as a step: a resumed run gets the stored value, and no work is asked for. */
const step: Handler = async ({ data, session, work }) => {
  const { name } = decodeName(data)
  let isNew = false
  const done = session.framework.wait((signal) => {
    isNew = true
    return work(null, signal)
  })
  const value = await session.framework.promise(Run.step(name, done))
  session.hasMoved ||= isNew
  return value
}

/**
 * A node of a graph, a task or a method: work in a place of its own, where its steps have names of their own. Hooks may refuse
 * it; its result stays in the worker, so they cannot change, skip or repeat it.
 */
const node: Handler = async ({ data, session, work }) => {
  const { name, node } = decodeNode(data)
  let hasEntered = false
  const refused = Effect.suspend(() => Effect.fail(HookBracket.notEnforceable("node")))
  const next = (admitted: Hook.NodeCall): Effect.Effect<Schema.Json, Thrown | RunError.HookBlocked, CurrentRun> => {
    if (hasEntered || admitted !== node) return refused
    hasEntered = true
    return session.framework.wait((signal) => work(null, signal))
  }
  const hooked = CurrentRun.use(({ hooks }) => hooks.node(node, next)).pipe(
    Effect.tap(() => hasEntered ? Effect.void : refused),
    // A refusal ends the run, whatever the framework would make of it.
    Effect.catchTag("HookBlocked", Effect.die)
  )
  return session.framework.promise(Run.scope(name)(hooked))
}

const interrupt: Handler = async ({ data, session }) => {
  const { expires_in, name, not_requester, schema, ...asked } = decodeInterrupt(data)
  return session.framework.promise(Run.interrupt(name, {
    ...asked,
    schema: JsonSchema.toSchema(schema),
    ...(expires_in === undefined ? {} : { expiresIn: expires_in * 1_000 }),
    ...(not_requester === undefined ? {} : { notRequester: not_requester })
  }))
}

/** Stores a value as a step, once its commit is through. */
const commit: Handler = async ({ data, session }) => {
  const { name, value } = decodeCommit(data)
  await session.framework.promise(Run.step(name, Effect.succeed(value)))
  session.hasMoved = true
  return null
}

/** The values that earlier attempts have stored under a name and a number, from one on: as many as one frame should hold. */
const committed: Handler = ({ data, session }) => {
  const { from, name } = decodeCommitted(data)
  return session.framework.promise(Effect.gen(function*() {
    const { isRecorded, step } = yield* CurrentRun
    const values: Array<Schema.Json> = []
    for (let size = 0; size < largest / 8;) {
      const next = `${name} ${from + values.length}`
      if (!isRecorded(next)) return { values, more: false }
      const value = yield* step(next, Effect.succeed<Schema.Json>(null))
      size += JSON.stringify(value).length
      values.push(value)
    }
    return { values, more: true }
  }))
}

const sleep: Handler = async ({ data, session }) => {
  const { millis } = decodeSleep(data)
  await session.framework.promise(Effect.as(Run.sleep(millis), null))
}

export const requests = { step, node, interrupt, sleep, commit, committed } satisfies Readonly<Record<string, Handler>>
