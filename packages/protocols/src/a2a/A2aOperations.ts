// The operations of A2A, the one service behind all bindings: each decodes its params, and reads runs or makes one call of the
// runtime.
import { decoder } from "@fastagentic/core/base/Validation"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { isFinal } from "@fastagentic/core/run/RunRecord"
import { Effect, type Schema } from "effect"
import * as A2aDelivery from "./A2aDelivery.ts"
import * as A2aError from "./A2aError.ts"
import * as A2aProtoJson from "./A2aProtoJson.ts"
import * as A2aPush from "./A2aPush.ts"
import type { Call, Failure, Reply } from "./A2aReply.ts"
import * as A2aSchema from "./A2aSchema.ts"
import type { Skills } from "./A2aSkill.ts"
import * as A2aTaskList from "./A2aTaskList.ts"
import * as A2aTasks from "./A2aTasks.ts"
import type { PushSender } from "./PushSender.ts"

/** The names of the operations, which are the methods of JSON-RPC 1.0. */
export const names = [
  "SendMessage",
  "SendStreamingMessage",
  "GetTask",
  "ListTasks",
  "CancelTask",
  "SubscribeToTask",
  "CreateTaskPushNotificationConfig",
  "GetTaskPushNotificationConfig",
  "ListTaskPushNotificationConfigs",
  "DeleteTaskPushNotificationConfig",
  "GetExtendedAgentCard"
] as const

export type Name = typeof names[number]

/** An operation, called with undecoded params. */
export type Operation = (call: Call, params: unknown) => Effect.Effect<Reply, Failure>

export type Operations = Readonly<Record<Name, Operation>>

export const make = (
  runtime: Runtime["Service"],
  skills: Skills,
  sender: PushSender["Service"] | undefined,
  duplicates: "attach" | "new" = "attach"
): Operations => {
  const tasks = A2aTasks.make(runtime, skills)
  const push = A2aPush.make(runtime, tasks, sender)
  const { answered, find, load, streamed, waited } = tasks
  const deliver = A2aDelivery.make(runtime, skills, tasks, duplicates)

  /** Whether a message to a new run is answered with a message alone, if the run completes. */
  const answersDirectly = ({ run }: A2aTasks.Delivered, { message }: A2aSchema.SendMessageRequest) =>
    !message.taskId && skills.get(run.agent)?.agent.presentation.direct === true

  /** The address is kept after the message: a client that sends both again finds the task that it began. */
  const delivered = Effect.fnUntraced(function*(call: Call, request: A2aSchema.SendMessageRequest) {
    const config = request.configuration?.taskPushNotificationConfig
    if (config !== undefined && sender === undefined) return yield* noPush
    if (config !== undefined) yield* A2aPush.checkUrl(config.url, sender?.insecure === true)
    const sent = yield* deliver(call, request)
    if (config !== undefined) yield* push.set(call, sent.run, config, sent.view.seq)
    return sent
  })

  const sendMessage = Effect.fnUntraced(function*(call: Call, request: A2aSchema.SendMessageRequest) {
    const { historyLength, returnImmediately } = request.configuration ?? {}
    const sent = yield* delivered(call, request)
    const isDirect = answersDirectly(sent, request)
    if (returnImmediately === true && !isDirect) {
      return { _tag: "Sent", task: (yield* load(sent.handle, sent.run)).task(historyLength) } as const
    }
    yield* waited(sent)
    if (isDirect && sent.view.hasAnswer) return { _tag: "Message", message: sent.view.answer() } as const
    return { _tag: "Sent", task: sent.view.task(historyLength) } as const
  })

  const sendStreamingMessage = Effect.fnUntraced(function*(call: Call, request: A2aSchema.SendMessageRequest) {
    const { historyLength } = request.configuration ?? {}
    const sent = yield* delivered(call, request)
    return yield* answersDirectly(sent, request)
      ? answered(sent, historyLength)
      : streamed(sent, "somebody", historyLength)
  })

  const getTask = Effect.fnUntraced(function*(call: Call, { historyLength, id }: typeof A2aSchema.GetTaskRequest.Type) {
    const handle = yield* find(call, id)
    const view = yield* load(handle, handle.run)
    return { _tag: "Task", task: view.task(historyLength) } as const
  })

  const cancelTask = Effect.fnUntraced(function*(call: Call, { id }: typeof A2aSchema.TaskRequest.Type) {
    const handle = yield* find(call, id)
    const run = yield* runtime.cancel(call.caller, id)
    if (isFinal(run.state) && run.state !== "cancelled") {
      return yield* A2aError.taskNotCancelable(`the task is ${run.state}`)
    }
    return { _tag: "Task", task: (yield* load(handle, run)).task() } as const
  })

  /** A client that names its last event gets all that followed it, also when the task has ended meanwhile. */
  const subscribeToTask = Effect.fnUntraced(function*(call: Call, { id }: typeof A2aSchema.TaskRequest.Type) {
    const handle = yield* find(call, id)
    const { run } = handle
    const { lastEventId = Infinity } = call
    const isBehind = lastEventId < run.seq
    if (isFinal(run.state) && !isBehind) return yield* A2aError.unsupportedOperation(`the task is ${run.state}`)
    const view = yield* load(handle, run, isBehind ? lastEventId : run.seq)
    return yield* streamed({ handle, run, view }, "final")
  })

  return {
    SendMessage: operation("SendMessageRequest", A2aSchema.SendMessageRequest, sendMessage),
    SendStreamingMessage: operation("SendMessageRequest", A2aSchema.SendMessageRequest, sendStreamingMessage),
    GetTask: operation("GetTaskRequest", A2aSchema.GetTaskRequest, getTask),
    ListTasks: operation("ListTasksRequest", A2aSchema.ListTasksRequest, A2aTaskList.make(runtime, tasks)),
    CancelTask: operation("TaskRequest", A2aSchema.TaskRequest, cancelTask),
    SubscribeToTask: operation("TaskRequest", A2aSchema.TaskRequest, subscribeToTask),
    ...(sender === undefined ? withoutPush : {
      CreateTaskPushNotificationConfig: operation(
        "TaskPushNotificationConfig",
        A2aSchema.CreatePushConfigRequest,
        push.create
      ),
      GetTaskPushNotificationConfig: operation("PushConfigRequest", A2aSchema.PushConfigRequest, push.get),
      ListTaskPushNotificationConfigs: operation("PushConfigsRequest", A2aSchema.PushConfigsRequest, push.list),
      DeleteTaskPushNotificationConfig: operation("PushConfigRequest", A2aSchema.PushConfigRequest, push.remove)
    }),
    GetExtendedAgentCard: ({ caller, card }) =>
      card === undefined
        ? Effect.fail(A2aError.unsupportedOperation("there is no extended card"))
        : Effect.map(Effect.flatMap(runtime.visibleTo(caller), card), (card) => ({ _tag: "Card", card }) as const)
  }
}

const operation = <S extends Schema.ConstraintCodec<unknown, unknown>>(
  name: Parameters<typeof A2aProtoJson.read>[0],
  schema: S,
  run: (call: Call, request: S["Type"]) => Effect.Effect<Reply, Failure>
): Operation => {
  const decode = decoder(schema, "ignore")
  return (call, params) =>
    Effect.matchEffect(decode(A2aProtoJson.read(name, params ?? {})), {
      onFailure: (error) =>
        Effect.fail(A2aError.invalidParams("the params are not valid", { violations: A2aError.violationsOf(error) })),
      onSuccess: (request) => run(call, request)
    })
}

const refusePush: Operation = () => Effect.fail(noPush)

const withoutPush = {
  CreateTaskPushNotificationConfig: refusePush,
  GetTaskPushNotificationConfig: refusePush,
  ListTaskPushNotificationConfigs: refusePush,
  DeleteTaskPushNotificationConfig: refusePush
}

const noPush = A2aError.pushNotSupported("push notifications are not served")
