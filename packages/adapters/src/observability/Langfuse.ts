/**
 * Traces in Langfuse: runs as agents, calls of models as generations, threads as sessions.
 *
 * @since 0.1.0
 */
import { Config, Effect, Redacted } from "effect"
import * as Base64 from "effect/encoding/Base64"
import { join, text, whenSet } from "../services/internal/variables.ts"
import * as Destination from "./Destination.ts"
import { metadataOf, prefixed } from "./internal/facts.ts"

/** @category options @since 0.1.0 */
export interface Options extends Destination.Common {
  readonly publicKey: string
  readonly secretKey: Redacted.Redacted
  /** Default `https://cloud.langfuse.com`; `https://us.cloud.langfuse.com`, or a server of your own. */
  readonly baseUrl?: string | undefined
  /** The environment that traces belong to. It must not begin with `langfuse`. */
  readonly environment?: string | undefined
  readonly release?: string | undefined
}

const types = {
  model: "generation",
  agent: "agent",
  tool: "tool",
  node: "chain",
  guardrail: "guardrail",
  other: "span"
} as const

/** @category constructors @since 0.1.0 */
export const make = (options: Options): Destination.Destination =>
  Destination.make({
    name: "langfuse",
    url: join(options.baseUrl ?? "https://cloud.langfuse.com", "/api/public/otel/v1/traces"),
    spans: "agents",
    timeout: options.timeout,
    headers: {
      authorization: Redacted.make(
        `Basic ${Base64.encode(`${options.publicKey}:${Redacted.value(options.secretKey)}`)}`
      ),
      // Observations are shown as they arrive.
      "x-langfuse-ingestion-version": Redacted.make("4")
    },
    attributes: (span) => ({
      "langfuse.observation.type": types[span.operation],
      "session.id": span.run?.session,
      "user.id": span.run?.user,
      "langfuse.environment": options.environment,
      "langfuse.release": options.release,
      ...(span.isRoot && span.above.length === 0 ? { "langfuse.trace.name": span.run?.agent ?? span.name } : {}),
      ...prefixed("langfuse.trace.metadata.", metadataOf(span))
    })
  })

/**
 * On when `LANGFUSE_SECRET_KEY` is set, with `LANGFUSE_PUBLIC_KEY`, and `LANGFUSE_BASE_URL` or `LANGFUSE_HOST`,
 * `LANGFUSE_TRACING_ENVIRONMENT` and `LANGFUSE_RELEASE`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConfig: Destination.FromConfig = whenSet("LANGFUSE_SECRET_KEY", (secretKey) =>
  Effect.gen(function*() {
    const publicKey = yield* Config.NonEmptyString("LANGFUSE_PUBLIC_KEY")
    const baseUrl = yield* text("https://cloud.langfuse.com", "LANGFUSE_BASE_URL", "LANGFUSE_HOST")
    const environment = (yield* text("", "LANGFUSE_TRACING_ENVIRONMENT")) || undefined
    const release = (yield* text("", "LANGFUSE_RELEASE")) || undefined
    return make({ publicKey, secretKey, baseUrl, environment, release })
  }))
