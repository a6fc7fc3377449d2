// Reads the errors of the official client as the errors of a remote server. connection.ts and call.ts ask it about everything
// that is thrown; words of a server are cut, because a caller or a model may read them.
import { TokenRefused, TokenUnavailable } from "@fastagentic/core/door/TokenSource"
import { Predicate } from "effect"
import { Thrown } from "../../adapter/AdapterError.ts"
import {
  RemoteLost,
  RemoteRefused,
  RemoteResultInvalid,
  RemoteTimedOut,
  RemoteUnauthorized,
  RemoteUnavailable,
  type RequestError
} from "../RemoteError.ts"
import type { Library } from "./library.ts"

/** A request and its server. */
export interface About {
  readonly server: string
  readonly method: string
}

/** The data of an error that stands for a stream which ended before its answer. */
export const streamEnded = `stream ended ${globalThis.crypto.randomUUID()}`

export const problemOf = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error)
  return text.length > 1_000 ? `${text.slice(0, 1_000)}…` : text
}

const hasName = (error: unknown, names: RegExp) => error instanceof Error && names.test(error.constructor.name)

/** Whether a server of 2025 has forgotten the session of the request, which it has not carried out then. */
export const isSessionGone = ({ SdkHttpError }: Library, error: unknown): boolean => {
  const thrown = thrownIn(error)
  return thrown instanceof SdkHttpError && thrown.status === 404
}

const thrownIn = (error: unknown) => error instanceof Thrown ? error.cause : error

export const failureOf = (library: Library, about: About, failure: unknown): RequestError => {
  const error = thrownIn(failure)
  const { ProtocolError, SdkError, SdkErrorCode, SdkHttpError, UnauthorizedError } = library
  const { server } = about
  const problem = problemOf(error)
  if (error instanceof TokenRefused) return new RemoteUnauthorized({ server, problem })
  // The request was not sent.
  if (error instanceof TokenUnavailable) return new RemoteUnavailable({ server, problem })
  if (
    error instanceof UnauthorizedError ||
    hasName(error, /^(OAuth|IssuerMismatch|Insufficient|Registration|Authorization|InsecureToken)/u)
  ) {
    return new RemoteUnauthorized({ server, problem })
  }
  if (error instanceof SdkHttpError) {
    const { status } = error
    if (status === 401 || status === 403) return new RemoteUnauthorized({ server, problem })
    return status >= 500
      ? new RemoteLost({ ...about, problem: `status ${status}` })
      : new RemoteRefused({ ...about, code: status, problem })
  }
  if (error instanceof ProtocolError) {
    return error.data === streamEnded
      ? new RemoteLost({ ...about, problem })
      : new RemoteRefused({ ...about, code: error.code, problem })
  }
  if (error instanceof SdkError) {
    switch (error.code) {
      case SdkErrorCode.RequestTimeout:
        return new RemoteTimedOut({ ...about, millis: millisOf(error.data) })
      case SdkErrorCode.InvalidResult:
      case SdkErrorCode.UnsupportedResultType:
      case SdkErrorCode.ListPaginationExceeded:
      case SdkErrorCode.ClientHttpUnexpectedContent:
        return new RemoteResultInvalid({ ...about, problem })
      case SdkErrorCode.CapabilityNotSupported:
      case SdkErrorCode.InputRequiredRoundsExceeded:
      case SdkErrorCode.MethodNotSupportedByProtocolVersion:
        return new RemoteRefused({ ...about, problem })
      default:
        return new RemoteLost({ ...about, problem })
    }
  }
  if (hasName(error, /^(ZodError|SyntaxError)$/u)) {
    return new RemoteResultInvalid({ ...about, problem: "it is not a message of MCP" })
  }
  return new RemoteLost({ ...about, problem })
}

const millisOf = (data: unknown): number =>
  Predicate.hasProperty(data, "timeout") && typeof data.timeout === "number" ? data.timeout : 0
