// Reads the text or the bytes of a body within its limits; REST, MCP and A2A call it and name the refusal in their own terms.
import { yieldFor } from "@fastagentic/core/base/Validation"
import { Effect, type Fiber } from "effect"
import * as ByteSize from "effect/ByteSize"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type { HttpServerError } from "effect/http/HttpServerError"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { RequestLimits } from "./requestLimits.ts"

export type Unread = "TooLarge" | "TooSlow" | "Unreadable"

/** The rest of a body that is refused is not waited for: the connection is closed with the answer. */
export const closing = { connection: "close" } as const

type Limits = Pick<RequestLimits, "bodyBytes" | "bodyMillis">

export const bodyText = ({ text }: HttpServerRequest, limits: Limits): Effect.Effect<string, Unread> =>
  Effect.tap(within(text, limits), ({ length }) => yieldFor(length))

export const bodyBytes = ({ arrayBuffer }: HttpServerRequest, limits: Limits): Effect.Effect<Uint8Array, Unread> =>
  Effect.map(within(arrayBuffer, limits), (buffer) => new Uint8Array(buffer))

const within = <A>(
  body: Effect.Effect<A, HttpServerError>,
  { bodyBytes, bodyMillis }: Limits
): Effect.Effect<A, Unread> =>
  body.pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(bodyBytes)),
    Effect.mapError(({ reason }): Unread =>
      reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge" ? "TooLarge" : "Unreadable"
    ),
    // Interrupting the reader would close the connection before the refusal is sent; the reader ends with the connection.
    Effect.forkDetach({ startImmediately: true }),
    Effect.flatMap((reader) => inTime(reader, bodyMillis))
  )

/** A network is slow in real time, also where a test adjusts the clock of the runs. */
const inTime = <A>(reader: Fiber.Fiber<A, Unread>, millis: number): Effect.Effect<A, Unread> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.fail("TooSlow")), millis)
    reader.addObserver((exit) => {
      clearTimeout(timer)
      resume(exit)
    })
    return Effect.sync(() => clearTimeout(timer))
  })
