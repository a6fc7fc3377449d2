// Reads the text of a body within its limits; REST, MCP and A2A call it and name the refusal in their own terms.
import { yieldFor } from "@fastagentic/core/base/Validation"
import { Effect, type Fiber } from "effect"
import * as ByteSize from "effect/ByteSize"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { RequestLimits } from "./requestLimits.ts"

export type Unread = "TooLarge" | "TooSlow" | "Unreadable"

/** The rest of a body that is refused is not waited for: the connection is closed with the answer. */
export const closing = { connection: "close" } as const

export const bodyText = (
  { text }: HttpServerRequest,
  { bodyBytes, bodyMillis }: Pick<RequestLimits, "bodyBytes" | "bodyMillis">
): Effect.Effect<string, Unread> =>
  text.pipe(
    Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(bodyBytes)),
    Effect.mapError(({ reason }): Unread =>
      reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge" ? "TooLarge" : "Unreadable"
    ),
    // Interrupting the reader would close the connection before the refusal is sent; the reader ends with the connection.
    Effect.forkDetach({ startImmediately: true }),
    Effect.flatMap((reader) => inTime(reader, bodyMillis)),
    Effect.tap(({ length }) => yieldFor(length))
  )

/** A network is slow in real time, also where a test adjusts the clock of the runs. */
const inTime = (reader: Fiber.Fiber<string, Unread>, millis: number): Effect.Effect<string, Unread> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.fail("TooSlow")), millis)
    reader.addObserver((exit) => {
      clearTimeout(timer)
      resume(exit)
    })
    return Effect.sync(() => clearTimeout(timer))
  })
