// The operations on push configurations. Credentials and tokens are sealed in the store, and no operation shows them again.
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import type { PushTarget } from "@fastagentic/core/store/PushStore"
import { Effect, Option, Schema } from "effect"
import { PublicAddress } from "../internal/publicAddress.ts"
import * as A2aError from "./A2aError.ts"
import type { Call, Failure, Reply } from "./A2aReply.ts"
import * as A2aSchema from "./A2aSchema.ts"
import type { Tasks } from "./A2aTasks.ts"
import type { PushSender } from "./PushSender.ts"

/** A configuration as it is kept: `version` is the version of the wire that asked for it. */
const Kept = Schema.Struct({
  url: Schema.String,
  version: Schema.Literals(["1.0", "0.3"]),
  /** The public address of the app, for links to its files. */
  origin: Schema.String,
  path: Schema.String,
  token: Schema.optionalKey(Schema.String),
  scheme: Schema.optionalKey(Schema.String),
  credentials: Schema.optionalKey(Schema.String)
})

export type Kept = typeof Kept.Type
export const decodeKept = Schema.decodeUnknownOption(Kept)

/** The text that a sealed value is bound to. */
export const aboutOf = ({ id, runId }: Pick<PushTarget, "id" | "runId">) => JSON.stringify([runId, id])

type Config = A2aSchema.TaskPushNotificationConfig

export const make = (
  runtime: Runtime["Service"],
  { find }: Pick<Tasks, "find">,
  sender: PushSender["Service"] | undefined
) => {
  /** Keeps the configuration for a task that its caller may act on; a new one is notified of what follows `cursor`. */
  const set = Effect.fnUntraced(function*(
    { caller, version = "1.0" }: Call,
    { runId }: Pick<RunRecord, "runId">,
    { authentication, id: asked, token, url }: Config,
    cursor?: number
  ) {
    if (sender === undefined) return yield* notServed
    yield* checkUrl(url, sender.insecure)
    const id = asked || globalThis.crypto.randomUUID()
    const about = aboutOf({ runId, id })
    const { credentials, scheme } = authentication ?? {}
    const config: Kept = {
      url,
      version,
      ...yield* PublicAddress,
      ...(token ? { token: yield* sender.secrets.seal(token, about) } : {}),
      ...(scheme ? { scheme } : {}),
      ...(credentials ? { credentials: yield* sender.secrets.seal(credentials, about) } : {})
    }
    const target = yield* runtime.push.set(caller, { runId, id, config, ...(cursor === undefined ? {} : { cursor }) })
    return shownOf(target) ?? { id, taskId: runId, url }
  })

  const targetsOf = Effect.fnUntraced(function*(call: Call, taskId: string) {
    if (sender === undefined) return yield* notServed
    const { run: { runId } } = yield* find(call, taskId)
    return yield* runtime.push.list(call.caller, runId)
  })

  const create = Effect.fnUntraced(function*(call: Call, request: Config & { readonly taskId: string }) {
    if (sender === undefined) return yield* notServed
    const { run } = yield* find(call, request.taskId)
    return { _tag: "PushConfig", config: yield* set(call, run, request) } as const
  })

  const get = Effect.fnUntraced(function*(call: Call, { id, taskId }: typeof A2aSchema.PushConfigRequest.Type) {
    const found = (yield* targetsOf(call, taskId)).find((target) => target.id === id)
    const config = found === undefined ? undefined : shownOf(found)
    if (config === undefined) return yield* A2aError.taskNotFound(`the task has no push configuration "${id}"`)
    return { _tag: "PushConfig", config } as const
  })

  /** All configurations of a task are one page: it has few. */
  const list = Effect.fnUntraced(function*(call: Call, { taskId }: typeof A2aSchema.PushConfigsRequest.Type) {
    const configs = (yield* targetsOf(call, taskId)).flatMap((target) => shownOf(target) ?? [])
    return { _tag: "PushConfigs", configs } as const
  })

  const remove = Effect.fnUntraced(function*(call: Call, { id, taskId }: typeof A2aSchema.PushConfigRequest.Type) {
    if (sender === undefined) return yield* notServed
    const { run: { runId } } = yield* find(call, taskId)
    yield* runtime.push.remove(call.caller, runId, id)
    return { _tag: "Done" } as const
  })

  return { set, create, get, list, remove } satisfies Record<
    string,
    (...args: never) => Effect.Effect<Reply | Config, Failure>
  >
}

const notServed = A2aError.pushNotSupported("push notifications are not served")

/** A configuration as callers see it: their secrets are left out. */
const shownOf = (
  { config, id, runId }: PushTarget
): Config & { readonly id: string; readonly taskId: string } | undefined => {
  const kept = Option.getOrUndefined(decodeKept(config))
  if (kept === undefined) return undefined
  const { scheme, url } = kept
  return { id, taskId: runId, url, ...(scheme === undefined ? {} : { authentication: { scheme } }) }
}

/** Refuses an address that no delivery would reach; the addresses of its name are checked at each delivery. */
export const checkUrl = (text: string, insecure: boolean): Effect.Effect<void, A2aError.A2aError> => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isWeb = url?.protocol === "https:" || (insecure && url?.protocol === "http:")
  if (isWeb && url.username === "" && url.password === "" && text.length <= 2_048) return Effect.void
  const description = "Expected an https address of up to 2,048 characters, without a user"
  return Effect.fail(A2aError.invalidParams("the address is not one for push notifications", {
    violations: [{ field: "url", description }]
  }))
}
