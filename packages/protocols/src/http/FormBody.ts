// The mapping of multipart/form-data to payloads, and its description: each part is a field of the payload, a file part is a
// file in it. AgentRoutes and FileRoutes use it.
import type { Places, Shape } from "@fastagentic/core/app/Fusion"
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import type { File } from "@fastagentic/core/run/File"
import { Effect, Schema, SchemaAST } from "effect"
import * as Base64 from "effect/encoding/Base64"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { BadBody } from "./Problem.ts"
import * as RequestContext from "./RequestContext.ts"

/** A part of a form: text, or a file with its bytes. */
export type Part =
  | { readonly name: string; readonly text: string }
  | {
    readonly name: string
    readonly file: { readonly bytes: Uint8Array; readonly mediaType: string; readonly name?: string }
  }

export const mediaType = "multipart/form-data"

/** Whether the body is a form. */
export const isForm = ({ headers }: HttpServerRequest): boolean =>
  /^\s*multipart\/form-data\s*(;|$)/iu.test(headers["content-type"] ?? "")

/** The parts of a form in their order. The body is in memory, so that a broken upload leaves nothing behind. */
export const read = (
  context: RequestContext.RequestContext
): Effect.Effect<ReadonlyArray<Part>, RequestContext.BodyRefusal> =>
  Effect.flatMap(RequestContext.bytes(context), (bytes) => {
    const headers = { "content-type": context.request.headers["content-type"] ?? "" }
    return Effect.flatMap(
      Effect.tryPromise({
        try: () => new Response(new Uint8Array(bytes), { headers }).formData(),
        catch: () => new BadBody({ detail: "the body is not a form" })
      }),
      (form) => Effect.promise(() => Promise.all(Array.from(form, ([name, value]) => partOf(name, value))))
    )
  })

const partOf = async (name: string, value: FormDataEntryValue): Promise<Part> => {
  if (typeof value === "string") return { name, text: value }
  const fileName = value.name.split(/[/\\]/u).at(-1) ?? ""
  return {
    name,
    file: {
      bytes: new Uint8Array(await value.arrayBuffer()),
      mediaType: value.type === "" ? "application/octet-stream" : value.type,
      ...(fileName === "" || fileName === "blob" ? {} : { name: fileName })
    }
  }
}

/** A file as a value of a payload. */
export const toFile = ({ bytes, mediaType, name }: Extract<Part, { readonly file: unknown }>["file"]): File => ({
  mediaType,
  ...(name === undefined ? {} : { name }),
  bytes: Base64.encode(bytes)
})

/**
 * The payload of a form: parts of one name are a list where the field is one. Text is the value of a field that is a string,
 * and JSON for the others.
 */
export const toPayload = (payload: Shape | undefined, parts: ReadonlyArray<Part>): Record<string, unknown> => {
  const values = new Map<string, Array<unknown>>()
  for (const part of parts) {
    const type = typeOf(payload, part.name)
    const value = "file" in part ? toFile(part.file) : type === "string" ? part.text : parsed(part.text)
    const all = values.get(part.name)
    if (all === undefined) values.set(part.name, [value])
    else all.push(value)
  }
  return Object.fromEntries(
    Array.from(values, ([name, all]) => {
      const [only] = all
      const isList = typeOf(payload, name) === "array" && !(all.length === 1 && Array.isArray(only))
      return [name, isList || all.length > 1 ? all : only]
    })
  )
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The JSON type of a field of the payload, through a reference to a definition. */
const typeOf = (payload: Shape | undefined, name: string): unknown => {
  const { $defs, properties } = payload?.json ?? {}
  const field = isObject(properties) ? properties[name] : undefined
  if (!isObject(field)) return undefined
  const target = JsonSchema.targetOf(field, $defs) ?? field
  return "type" in target ? target.type : undefined
}

const Binary = Schema.String.annotate({ format: "binary" })

/** The payload's schemas for the document: JSON, and a form where fields of the payload are files. */
export const payloadsOf = ({ files, schema }: Shape): ReadonlyArray<Schema.Top> => {
  const ast = SchemaAST.toEncoded(schema.ast)
  if (files?._tag !== "Fields" || !SchemaAST.isObjects(ast)) return [schema]
  let hasFiles = false
  const fields = ast.propertySignatures.map(({ name, type }) => {
    const place = files.fields.get(String(name))
    const isList = place?._tag === "Values" && SchemaAST.isArrays(type)
    const isFile = isFilePlace(isList ? place.each : place)
    hasFiles ||= isFile
    const field = isFile ? (isList ? Schema.Array(Binary) : Binary) : Schema.make(type)
    return [String(name), SchemaAST.isOptional(type) ? Schema.optionalKey(field) : field] as const
  })
  return hasFiles ? [schema, Schema.Struct(Object.fromEntries(fields)).pipe(HttpApiSchema.asMultipart())] : [schema]
}

const isFilePlace = (place: Places | undefined) => place?._tag === "File" && !place.isContent
