// The fixture app in a worker thread, without a server: its calls are messages between threads.
import { NodeRuntime, NodeWorkerRunner } from "@effect/platform-node"
import { AppRpc } from "@fastagentic/protocols/rpc"
import { Layer } from "effect"
import * as RpcServer from "effect/rpc/RpcServer"
import { layerRuntime } from "../fixture.ts"

AppRpc.layerServer.pipe(
  Layer.provide([
    layerRuntime(),
    Layer.provide(RpcServer.layerProtocolWorkerRunner, NodeWorkerRunner.layer)
  ]),
  Layer.launch,
  NodeRuntime.runMain
)
