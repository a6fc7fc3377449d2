// Reads the partial success of OTLP: a destination may answer 200 and have dropped items nevertheless.
import { Option, Schema } from "effect"

const PartialSuccess = Schema.fromJsonString(Schema.Struct({
  partialSuccess: Schema.Struct({
    rejectedSpans: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.FiniteFromString])),
    rejectedLogRecords: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.FiniteFromString])),
    errorMessage: Schema.optionalKey(Schema.String)
  })
}))

const decode = Schema.decodeUnknownOption(PartialSuccess)

/** The items that an answer did not take. */
export interface Rejected {
  readonly rejected: number
  readonly reason: string
}

const none: Rejected = { rejected: 0, reason: "" }

/** The items that an answer names as rejected. */
export const rejectedIn = (body: Uint8Array, contentType: string | undefined): Rejected => {
  if (body.length === 0 || body.length > 65_536) return none
  if (contentType?.startsWith("application/x-protobuf") === true) return inProtobuf(body)
  return Option.match(decode(new TextDecoder().decode(body)), {
    onNone: () => none,
    onSome: ({ partialSuccess: { errorMessage = "", rejectedLogRecords = 0, rejectedSpans = 0 } }) => ({
      rejected: rejectedSpans + rejectedLogRecords,
      reason: errorMessage.slice(0, 200)
    })
  })
}

/** `ExportTraceServiceResponse { 1: { 1: varint rejected, 2: string message } }`, of logs alike. */
const inProtobuf = (body: Uint8Array): Rejected => {
  const partial = fieldsIn(body).get(1)
  if (!(partial instanceof Uint8Array)) return none
  const fields = fieldsIn(partial)
  const rejected = fields.get(1)
  const message = fields.get(2)
  return {
    rejected: typeof rejected === "number" ? rejected : 0,
    reason: message instanceof Uint8Array ? new TextDecoder().decode(message.subarray(0, 200)) : ""
  }
}

/** The varints and the length-delimited fields of a message; reading ends at anything else. */
const fieldsIn = (bytes: Uint8Array) => {
  const fields = new Map<number, number | Uint8Array>()
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; at < bytes.length && factor < 2 ** 56; factor *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    return 0
  }
  while (at < bytes.length) {
    const tag = varint()
    if ((tag & 7) === 0) fields.set(tag >>> 3, varint())
    else if ((tag & 7) === 2) {
      const length = varint()
      fields.set(tag >>> 3, bytes.subarray(at, at + length))
      at += length
    } else break
  }
  return fields
}
