// The failures of calls to remote agents, the same over every binding: A2aClient and its wires fail with them.
import { Predicate, Schema } from "effect"

/** The remote agent could not be reached, or cannot answer now: it may do so later. */
export class RemoteUnavailable extends Schema.TaggedError<RemoteUnavailable>()("RemoteUnavailable", {
  message: Schema.String
}) {}

/** The remote agent refused a call for good, or what answers is no agent. */
export class RemoteRefused extends Schema.TaggedError<RemoteRefused>()("RemoteRefused", {
  code: Schema.String,
  message: Schema.String,
  /** It takes other credentials, or none that were sent. */
  unauthorized: Schema.optionalKey(Schema.Literal(true)),
  /** The rule of this server that refused. */
  rule: Schema.optionalKey(Schema.String)
}) {}

export type RemoteError = RemoteUnavailable | RemoteRefused

export const unavailable = (message: string) => new RemoteUnavailable({ message })

/** An answer that is no A2A at all: another try finds the same. */
export const notA2a = (message: string) => new RemoteRefused({ code: "NOT_A2A", message })

/** An address that egress does not reach. */
export const egressRefused = (message: string, rule: string) =>
  new RemoteRefused({ code: "EGRESS_REFUSED", message, rule: `egress: ${rule}` })

/** A certificate that is not trusted: it is the same at the next try. */
export const certificateRefused = (message: string) =>
  new RemoteRefused({ code: "CERTIFICATE_NOT_TRUSTED", message: textOf(message) })

/** The problem of a certificate in the error of a request, however deep the client has put it. */
export const certificateProblemIn = (error: unknown, depth = 0): string | undefined => {
  if (depth > 4 || !Predicate.isObject(error)) return undefined
  const { cause, code, message, reason } = error
  return typeof code === "string" && ofCertificate.test(code)
    ? String(message)
    : certificateProblemIn(reason, depth + 1) ?? certificateProblemIn(cause, depth + 1)
}

/** The codes of OpenSSL and Node for certificates. */
const ofCertificate =
  /^(?:CERT_|ERR_TLS_CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED_CERT|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_)/u

/** The rule of `Egress` that refused a request, if one did. */
export const refusalIn = (error: unknown): { readonly rule: string; readonly reason: string } | undefined => {
  const reason = Predicate.hasProperty(error, "reason") ? error.reason : undefined
  const cause = Predicate.hasProperty(reason, "cause") ? reason.cause : undefined
  return Predicate.isTagged(cause, "EgressRefused") && Predicate.hasProperty(cause, "rule") && cause instanceof Error
    ? { rule: String(cause.rule), reason: cause.message }
    : undefined
}

/** The words of a remote agent about an error, which are passed on as a text alone. */
export const textOf = (message: string) => message.slice(0, 500)
