import { fromBinary, toJson } from "@bufbuild/protobuf"
import * as protobuf from "@bufbuild/protobuf"
import * as wkt from "@bufbuild/protobuf/wkt"
import { assert, describe, it } from "@effect/vitest"
import { A2aSchema } from "@fastagentic/protocols/a2a"
import { Schema } from "effect"
import * as A2aV03 from "../../src/a2a/A2aV03.ts"
import * as A2aV03Proto from "../../src/a2a/A2aV03Proto.ts"
import * as Codec from "../../src/a2a/grpc/codec.ts"
import { registryOf } from "./grpcWires.ts"
import { fromTask, fromUpdate, type Json, sentBy03 } from "./wires.ts"

const codec = Codec.make({ protobuf, wkt })
const method = (version: string, name: string) => {
  const found = codec.methods.find((one) => one.version === version && one.name === name)
  if (found === undefined) throw new Error(`there is no ${name}`)
  return found
}

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** Reads the bytes by the descriptors of the official SDK, which are not those of the server. */
const read = (version: "1.0" | "0.3", type: string, bytes: Uint8Array) => {
  const schema = registryOf(version).getMessage(type)
  if (schema === undefined) throw new Error(`there is no ${type}`)
  return toJson(schema, fromBinary(schema, bytes))
}

const wellFormed = (text: string) => text.replaceAll(/\p{Surrogate}/gu, "\ufffd")

/**
 * A value as protocol buffers have it: text is well formed, a field without a value is absent, a number is a double. `free` is
 * JSON of others, which is kept as it is.
 */
const plain = (value: unknown, free = false): unknown => {
  if (typeof value === "string") return wellFormed(value)
  if (Object.is(value, -0)) return 0
  if (Array.isArray(value)) return value.map((one) => plain(one, free))
  if (!isJson(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, part]) => [wellFormed(key), plain(part, free || key === "metadata" || key === "data")] as const)
      .filter(([key, part]) => free || (part !== undefined && (part !== "" || contents.has(key)) && !isEmptyList(part)))
  )
}
const contents = new Set(["text", "raw", "url", "data"])
const isEmptyList = (value: unknown) => Array.isArray(value) && value.length === 0

/**
 * The same with no backslash in a key: `JSON.parse` of Node 24 reads the key of a line break as one of a backslash, after an object
 * that has that one in the same place.
 */
const readable = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(readable)
  if (!isJson(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key.replaceAll("\\", "/"), readable(part)]))
}

/** Fields whose text has a form that the schema of answers does not ask for. */
const formed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(formed)
  if (!isJson(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => {
      if (key === "timestamp") return [key, "2026-01-31T09:00:00.250Z"]
      if (key === "raw" && typeof part === "string") return [key, Buffer.from(part).toString("base64")]
      // A name of the language itself is no key of JSON that a library would keep.
      return [key === "__proto__" ? "proto" : key, key === "metadata" || key === "data" ? readable(part) : formed(part)]
    })
  )
}

/** The same in version 0.3: data is an object, and text has no type and no name. */
const of03 = (value: unknown, wraps = true): unknown => {
  if (Array.isArray(value)) return value.map((one) => of03(one, wraps))
  if (!isJson(value)) return value
  const entries = Object.entries(value).map(([key, part]) => {
    if (key === "metadata") return [key, part]
    if (key === "data") return [key, isJson(part) || !wraps ? part : { value: part ?? null }]
    return [key, of03(part, wraps)]
  })
  const { filename, mediaType, ...part } = Object.fromEntries(entries)
  const isFile = "raw" in value || "url" in value
  return isFile ? Object.fromEntries(entries) : { ...part, ...(contentIn(value) ? {} : { filename, mediaType }) }
}
/** The protocol buffers of 0.3 have fewer fields than its JSON. */
const without = (value: unknown, name: string): unknown => {
  if (Array.isArray(value)) return value.map((one) => without(one, name))
  if (!isJson(value)) return value
  return Object.fromEntries(
    Object.entries(value).filter(([key]) => key !== name)
      .map(([key, part]) => [key, key === "metadata" || key === "data" ? part : without(part, name)])
  )
}
const contentIn = (value: Json) => "text" in value || "data" in value

const same = (a: unknown, b: unknown) => assert.strictEqual(JSON.stringify(sorted(a)), JSON.stringify(sorted(b)))

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isJson(value)) return value
  return Object.fromEntries(
    Object.entries(value).filter(([, part]) => part !== undefined).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, part]) => [key, sorted(part)])
  )
}

// Values to try, in a form that needs no second attempt: a part has exactly one of its contents.
const { data, filename, mediaType, metadata, raw, text, url } = A2aSchema.Part.fields
const described = { filename, mediaType, metadata }
const AnyPart = Schema.Union([
  Schema.Struct({ text: text.schema, ...described }),
  Schema.Struct({ raw: raw.schema, ...described }),
  Schema.Struct({ url: url.schema, ...described }),
  Schema.Struct({ data: data.schema, ...described })
])
const AnyParts = Schema.NonEmptyArray(AnyPart)
const AnyMessage = Schema.Struct({ ...A2aSchema.Message.fields, parts: AnyParts })
const AnyArtifact = Schema.Struct({ ...A2aSchema.Artifact.fields, parts: AnyParts })
const AnyStatus = Schema.Struct({ ...A2aSchema.TaskStatus.fields, message: Schema.optionalKey(AnyMessage) })
const AnyTask = Schema.Struct({
  ...A2aSchema.Task.fields,
  status: AnyStatus,
  artifacts: Schema.optionalKey(Schema.Array(AnyArtifact)),
  history: Schema.optionalKey(Schema.Array(AnyMessage))
})
const AnyUpdate = Schema.Union([
  Schema.Struct({ task: AnyTask }),
  Schema.Struct({ message: AnyMessage }),
  Schema.Struct({ statusUpdate: Schema.Struct({ ...A2aSchema.TaskStatusUpdateEvent.fields, status: AnyStatus }) }),
  Schema.Struct({
    artifactUpdate: Schema.Struct({ ...A2aSchema.TaskArtifactUpdateEvent.fields, artifact: AnyArtifact })
  })
])

const decode = Schema.decodeUnknownSync(A2aSchema.Task)
const decodeUpdate = Schema.decodeUnknownSync(A2aSchema.StreamResponse)
const decodeMessage = Schema.decodeUnknownSync(A2aSchema.Message)

describe("A task of A2A", () => {
  it.prop("is the same after the protocol buffers of 1.0", [AnyTask], ([any]) => {
    const task = decode(formed(any))
    const bytes = method("1.0", "GetTask").write(task)
    same(plain(read("1.0", "lf.a2a.v1.Task", bytes)), plain(task))
  })

  it.prop("is the same after the JSON of 0.3", [AnyTask], ([any]) => {
    const task = decode(formed(any))
    same(fromTask(JSON.parse(JSON.stringify(A2aV03.taskOf(task)))), of03(JSON.parse(JSON.stringify(task))))
  })

  it.prop("is the same after the protocol buffers of 0.3", [AnyTask], ([any]) => {
    const task = decode(formed(any))
    const bytes = method("0.3", "GetTask").write(A2aV03Proto.answer({ _tag: "Task", task }))
    same(plain(fromTask(read("0.3", "a2a.v1.Task", bytes))), plain(without(of03(task), "referenceTaskIds")))
  })
})

describe("An update of A2A", () => {
  it.prop("is the same after the protocol buffers of 1.0", [AnyUpdate], ([any]) => {
    const update = decodeUpdate(formed(any))
    const bytes = method("1.0", "SendStreamingMessage").write(update)
    const whole = (value: unknown) =>
      JSON.parse(JSON.stringify(plain(value)).replaceAll(/,?"(append|lastChunk)":false/gu, ""))
    same(whole(read("1.0", "lf.a2a.v1.StreamResponse", bytes)), whole(update))
  })

  it.prop("is the same after the JSON of 0.3", [AnyUpdate], ([any]) => {
    const update = decodeUpdate(formed(any))
    const { final: _final, ...rest } = Object(fromUpdate(JSON.parse(JSON.stringify(A2aV03.update(update, true)))))
    const { statusUpdate } = rest
    if (statusUpdate !== undefined) delete statusUpdate.final
    if (rest.artifactUpdate !== undefined) delete rest.artifactUpdate.kind
    same(rest, of03(JSON.parse(JSON.stringify(update))))
  })
})

describe("A message of 0.3", () => {
  for (const isProto of [false, true]) {
    it.prop(`is that of 1.0, from ${isProto ? "protocol buffers" : "JSON"}`, [AnyMessage], ([any]) => {
      const message = JSON.parse(JSON.stringify(decodeMessage(formed({ ...any, role: "ROLE_USER" }))))
      const sent = JSON.parse(JSON.stringify(sentBy03({ message }, isProto)))
      // Clients send data of any form.
      same(Object(A2aV03.toSend(sent, isProto)).message, of03(message, false))
    })
  }
})
