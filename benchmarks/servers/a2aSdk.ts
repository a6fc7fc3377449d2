/** The same agent on the official SDK and Express, with its store in memory: the peer of the benchmark of A2A. */
import { AgentCard, Task, TaskArtifactUpdateEvent, TaskStatusUpdateEvent } from "@a2a-js/sdk"
import { AgentEvent, type AgentExecutor, DefaultRequestHandler, InMemoryTaskStore } from "@a2a-js/sdk/server"
import { jsonRpcHandler, UserBuilder } from "@a2a-js/sdk/server/express"
import type { RequestListener } from "node:http"
import { createRequire } from "node:module"

interface Express {
  readonly get: (path: string, handler: RequestListener) => void
  readonly use: (path: string, handler: unknown) => void
  readonly listen: (port: number, host: string) => void
}

/** Express comes without types. */
const express: () => Express = createRequire(import.meta.url)("express")

const port = Number(process.env["PORT"])

const card = AgentCard.fromJSON({
  name: "bench",
  description: "Says the words of a text, each in a task of its own",
  version: "1.0.0",
  supportedInterfaces: [{
    url: `http://127.0.0.1:${port}/a2a`,
    protocolBinding: "JSONRPC",
    protocolVersion: "1.0"
  }],
  capabilities: { streaming: true },
  defaultInputModes: ["text/plain"],
  defaultOutputModes: ["text/plain"],
  skills: [{ id: "words", name: "words", description: "Says words", tags: ["words"] }]
})

const nextTask = () => new Promise<void>((resolve) => setImmediate(resolve))

const executor: AgentExecutor = {
  execute: async ({ contextId, taskId, userMessage }, bus) => {
    const part = userMessage.parts[0]?.content
    const words = (part?.$case === "text" ? part.value : "").split(" ")
    bus.publish(AgentEvent.task(Task.fromJSON({
      id: taskId,
      contextId,
      status: { state: "TASK_STATE_WORKING", timestamp: new Date().toISOString() }
    })))
    for (const [index, text] of words.entries()) {
      await nextTask()
      bus.publish(AgentEvent.artifactUpdate(TaskArtifactUpdateEvent.fromJSON({
        taskId,
        contextId,
        artifact: { artifactId: "output", parts: [{ text }] },
        append: index > 0,
        lastChunk: index === words.length - 1
      })))
    }
    bus.publish(AgentEvent.statusUpdate(TaskStatusUpdateEvent.fromJSON({
      taskId,
      contextId,
      status: { state: "TASK_STATE_COMPLETED", timestamp: new Date().toISOString() }
    })))
    bus.finished()
  },
  cancelTask: () => Promise.resolve()
}

const handler = new DefaultRequestHandler(card, new InMemoryTaskStore(), executor)
const app = express()
app.get("/health", (_request, response) => void response.end("ok"))
app.use("/a2a", jsonRpcHandler({ requestHandler: handler, userBuilder: UserBuilder.noAuthentication }))

// A normal exit writes the profile that `CPU_PROF` requests.
process.on("SIGTERM", () => process.exit())

app.listen(port, "127.0.0.1")
