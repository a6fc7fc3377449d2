// Arguments that a client of 2026-07-28 repeats in headers (`x-mcp-header`), for proxies that route by them: a header that
// says otherwise than the body is refused, because two readers would act on different calls.
import type { Document } from "@fastagentic/core/app/Fusion"
import { Predicate, Result, type Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"

/** The header of an argument, which may lie deep in the payload. */
export interface ParamHeader {
  readonly header: string
  readonly path: ReadonlyArray<string>
}

/** The headers that the schema of a tool declares. */
export const declaredIn = (schema: Document, path: ReadonlyArray<string> = []): ReadonlyArray<ParamHeader> => {
  const properties: { readonly [name: string]: unknown } = { ...Object(schema["properties"]) }
  return Object.entries(properties).flatMap(([name, property]) => {
    if (!isDocument(property)) return []
    const own = property["x-mcp-header"]
    const inner = declaredIn(property, [...path, name])
    return typeof own === "string"
      ? [{ header: `mcp-param-${own.toLowerCase()}`, path: [...path, name] }, ...inner]
      : inner
  })
}

const isDocument = (value: unknown): value is Document => Predicate.isObject(value)

/** The header that disagrees with the arguments, if there is one. */
export const mismatch = (
  declared: ReadonlyArray<ParamHeader>,
  args: unknown,
  headers: { readonly [name: string]: string | undefined }
): string | undefined =>
  declared.find(({ header, path }) => {
    const value = path.reduce<unknown>((at, name) => Predicate.hasProperty(at, name) ? at[name] : undefined, args)
    if (!isPrimitive(value)) return false
    const sent = decoded(headers[header])
    if (sent === undefined) return true
    return typeof value === "number" ? sent.trim() === "" || Number(sent) !== value : sent !== String(value)
  })?.header

const isPrimitive = (value: unknown): value is Exclude<Schema.Json, object | null> =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean"

/** A value that no header can carry as it is, is base64 between markers; nothing for a header that is missing or damaged. */
const decoded = (header: string | undefined): string | undefined => {
  if (header === undefined) return undefined
  const encoded = /^=\?base64\?(.*)\?=$/u.exec(header)?.[1]
  if (encoded === undefined) return /^[\t -~]*$/u.test(header) ? header : undefined
  return Result.getOrUndefined(Base64.decodeString(encoded))
}
