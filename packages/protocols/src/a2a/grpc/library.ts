// Loads the packages of gRPC, which are optional peers, and makes the codecs; GrpcServer and the client of remote agents call it.
import { Effect } from "effect"
import * as Codec from "./codec.ts"

export interface GrpcLibrary {
  readonly grpc: typeof import("@grpc/grpc-js")
  readonly codec: Codec.Codec
}

const imported = <A>(name: string, start: () => Promise<A>) => Effect.tryPromise({ try: start, catch: () => name })

/** Fails with the name of the package that cannot be loaded. */
export const load: Effect.Effect<GrpcLibrary, string> = Effect.gen(function*() {
  const grpc = yield* imported("@grpc/grpc-js", () => import("@grpc/grpc-js"))
  const codec = Codec.make({
    protobuf: yield* imported("@bufbuild/protobuf", () => import("@bufbuild/protobuf")),
    wkt: yield* imported("@bufbuild/protobuf", () => import("@bufbuild/protobuf/wkt"))
  })
  return { grpc, codec }
})
