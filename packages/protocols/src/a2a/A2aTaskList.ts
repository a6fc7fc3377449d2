// `ListTasks`: tasks in the order of their last change. A page token is the place of the last task of its page in that order,
// so that no task is left out that did not change meanwhile; one that changed is on a page before.
import type { RecentRequest, Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, Option, Schema } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as A2aError from "./A2aError.ts"
import type { Call, Reply } from "./A2aReply.ts"
import type { ListTasksRequest, ListTasksResponse, Task, TaskState } from "./A2aSchema.ts"
import type { Tasks } from "./A2aTasks.ts"

const defaultSize = 50

export const make = (runtime: Runtime["Service"], { load }: Pick<Tasks, "load">) =>
  Effect.fnUntraced(function*(call: Call, request: typeof ListTasksRequest.Type) {
    const { historyLength, includeArtifacts = false, pageSize = defaultSize, pageToken = "" } = request
    const before = pageToken === "" ? {} : { before: yield* placeOf(pageToken) }
    const { items, next, total } = yield* runtime.recent(call.caller, {
      kind: "agent",
      limit: pageSize,
      ...before,
      ...(request.contextId ? { threadId: request.contextId } : {}),
      ...(call.onPath === undefined ? {} : { agent: call.onPath }),
      ...(request.status === undefined ? {} : phases[request.status]),
      ...(request.statusTimestampAfter === undefined ? {} : { since: millisOf(request.statusTimestampAfter) })
    })
    const views = yield* Effect.forEach(items, (handle) => load(handle, handle.run), { concurrency: 8 })
    const page: ListTasksResponse = {
      tasks: views.map((view) =>
        includeArtifacts ? view.task(historyLength) : withoutArtifacts(view.task(historyLength))
      ),
      nextPageToken: next === undefined ? "" : Base64Url.encode(JSON.stringify([next.changedAt, next.runId])),
      pageSize,
      totalSize: total
    }
    return { _tag: "Tasks", page } as const satisfies Reply
  })

const withoutArtifacts = ({ artifacts: _artifacts, ...task }: Task): Task => task

const phases: { readonly [State in TaskState]: Pick<RecentRequest, "phase" | "asks"> } = {
  TASK_STATE_SUBMITTED: { phase: "submitted" },
  TASK_STATE_WORKING: { phase: "working" },
  TASK_STATE_COMPLETED: { phase: "completed" },
  TASK_STATE_FAILED: { phase: "failed" },
  TASK_STATE_CANCELED: { phase: "cancelled" },
  TASK_STATE_REJECTED: { phase: "rejected" },
  TASK_STATE_INPUT_REQUIRED: { phase: "waiting", asks: "input" },
  TASK_STATE_AUTH_REQUIRED: { phase: "waiting", asks: "permission" }
}

/** The first millisecond that is not before a time: a task of the time itself is listed. */
const millisOf = (timestamp: string) => Math.ceil(Date.parse(timestamp))

const decodePlace = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Tuple([Schema.Int, Schema.String])))

const placeOf = (token: string) =>
  Option.match(Option.flatMap(Option.getSuccess(Base64Url.decodeString(token)), decodePlace), {
    onNone: () =>
      Effect.fail(A2aError.invalidParams("the page token is not one of this server", {
        violations: [{ field: "pageToken", description: "Expected the nextPageToken of a page" }]
      })),
    onSome: ([changedAt, runId]) => Effect.succeed({ changedAt, runId })
  })
