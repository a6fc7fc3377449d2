import { SendMessageRequest } from "@a2a-js/sdk"
import { JsonRpcTransportFactory, RestTransportFactory } from "@a2a-js/sdk/client"
import * as Sdk from "@a2a-js/sdk/client"
import { GrpcTransportFactory } from "@a2a-js/sdk/client/grpc"
import { assert, describe, it } from "@effect/vitest"
import * as SdkV03 from "a2a-js-sdk-v03/client"
import * as GrpcV03 from "a2a-js-sdk-v03/client/grpc"
import { Effect } from "effect"
import { collect, failing, getTask, request, send, startWithGrpc, states, textOf } from "./support.ts"

const clientOf = (url: string, transport: Sdk.TransportFactory) =>
  Effect.promise(() =>
    new Sdk.ClientFactory(
      Sdk.ClientFactoryOptions.createFrom(Sdk.ClientFactoryOptions.default, {
        transports: [transport],
        preferredTransports: [transport.protocolName]
      })
    ).createFromUrl(url)
  )

describe("The official client of version 1.0", () => {
  for (
    const [name, transport] of [
      ["JSON-RPC", new JsonRpcTransportFactory()],
      ["HTTP+JSON", new RestTransportFactory()],
      ["gRPC", new GrpcTransportFactory()]
    ] as const
  ) {
    it.live(`sends, streams, lists, reads and cancels over ${name}`, () =>
      Effect.gen(function*() {
        const client = yield* clientOf(yield* startWithGrpc(), transport)
        const contextId = `context-${name}`
        const asking = yield* send(client, "refund order 1042", { contextId })
        assert.strictEqual(asking.status.state, "TASK_STATE_INPUT_REQUIRED")
        const answered = yield* send(client, "yes", { taskId: asking.id })
        assert.strictEqual(answered.status.state, "TASK_STATE_COMPLETED")
        const updates = yield* collect(
          client.sendMessageStream(
            SendMessageRequest.fromJSON(request("a b c", { skill: "echo", contextId }))
          )
        )
        assert.strictEqual(textOf(updates, "output"), "a b c ")
        assert.strictEqual(states(updates).at(-1), "TASK_STATE_COMPLETED")
        const page = yield* Effect.promise(() =>
          client.listTasks({
            tenant: "",
            contextId,
            status: 0,
            pageSize: 1,
            pageToken: "",
            historyLength: 0,
            statusTimestampAfter: undefined,
            includeArtifacts: false
          })
        )
        assert.deepStrictEqual([page.tasks.length, page.totalSize], [1, 2])
        assert.notStrictEqual(page.nextPageToken, "")
        assert.strictEqual((yield* getTask(client, asking.id)).history?.length, 3)
        const gone = yield* failing(() => client.getTask({ tenant: "", id: "none", historyLength: undefined }))
        assert.strictEqual(gone.name, "TaskNotFoundError")
        const late = yield* failing(() => client.cancelTask({ tenant: "", id: asking.id, metadata: undefined }))
        assert.strictEqual(late.name, "TaskNotCancelableError")
      }).pipe(Effect.scoped))
  }
})

describe("The official client of version 0.3", () => {
  for (
    const [name, transport] of [
      ["JSON-RPC", new SdkV03.JsonRpcTransportFactory()],
      ["HTTP+JSON", new SdkV03.RestTransportFactory()],
      ["gRPC", new GrpcV03.GrpcTransportFactory()]
    ] as const
  ) {
    it.live(`sends, streams, reads and cancels over ${name}`, () =>
      Effect.gen(function*() {
        const url = yield* startWithGrpc()
        const factory = new SdkV03.ClientFactory({
          transports: [transport],
          preferredTransports: [transport.protocolName]
        })
        const client = yield* Effect.promise(() => factory.createFromUrl(url))
        let count = 0
        const message = (text: string, more: Record<string, unknown> = {}) => ({
          message: {
            kind: "message" as const,
            messageId: `${name}-${++count}`,
            role: "user" as const,
            parts: [{ kind: "text" as const, text }],
            ...more
          },
          configuration: { blocking: true }
        })
        const asking = yield* Effect.promise(() => client.sendMessage(message("refund order 1042")))
        if (asking.kind !== "task") return assert.fail("a task is expected")
        assert.strictEqual(asking.status.state, "input-required")
        const answered = yield* Effect.promise(() => client.sendMessage(message("yes", { taskId: asking.id })))
        assert.isTrue(answered.kind === "task" && answered.status.state === "completed")
        const seen: Array<string> = []
        yield* Effect.promise(async () => {
          for await (const event of client.sendMessageStream(message("Where is order 1042?"))) {
            seen.push(event.kind)
            if (event.kind === "status-update" && event.final) seen.push(event.status.state)
          }
        })
        assert.strictEqual(seen[0], "task")
        assert.include(seen, "artifact-update")
        assert.strictEqual(seen.at(-1), "completed")
        const again = yield* Effect.promise(() => client.getTask({ id: asking.id }))
        assert.deepStrictEqual(again.history?.map(({ role }) => role), ["user", "agent", "user"])
        const late = yield* failing(() => client.cancelTask({ id: asking.id }))
        assert.match(JSON.stringify([late.name, late.message]), /cancel|completed/iu)
      }).pipe(Effect.scoped))
  }
})
