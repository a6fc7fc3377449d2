/**
 * The flags of `fastagentic run` for A2A over gRPC.
 *
 * @since 0.1.0
 */
import { GrpcServer } from "@fastagentic/protocols/a2a"
import { Config, Layer, Option } from "effect"
import * as Flag from "effect/cli/Flag"
import * as Port from "./Port.ts"

/** @category flags @since 0.1.0 */
export const flags = {
  grpcPort: Flag.String("grpc-port").pipe(
    Flag.withDescription("Serve A2A over gRPC on this port as well; that of --port serves both, and 0 is a free one"),
    Flag.withFallbackConfig(Config.String("FASTAGENTIC_GRPC_PORT")),
    Flag.withSchema(Port.Port),
    Flag.optional
  ),
  grpcUrl: Flag.String("grpc-url").pipe(
    Flag.withDescription("Host and port by which clients reach gRPC, such as agents.example.com:443"),
    Flag.withFallbackConfig(Config.String("FASTAGENTIC_GRPC_URL")),
    Flag.optional
  )
}

/** @category models @since 0.1.0 */
export interface Values {
  readonly grpcPort: Option.Option<number>
  readonly grpcUrl: Option.Option<string>
}

/**
 * The server of gRPC on the host of the app; none without a port.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOf = (
  { grpcPort, grpcUrl, host, port }: Values & { readonly host: string; readonly port: number }
): Layer.Layer<never, GrpcServer.GrpcUnavailable> =>
  Option.match(grpcPort, {
    onNone: () => Layer.empty,
    onSome: (own) =>
      GrpcServer.GrpcServer.layer({
        host,
        // One port cannot be listened on twice: the server of HTTP hands the connections over.
        ...(own !== 0 && own === port ? {} : { port: own }),
        url: Option.getOrUndefined(grpcUrl)
      })
  })
