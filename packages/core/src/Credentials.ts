/**
 * What a caller showed at the door, before anybody has looked at it.
 *
 * @since 0.1.0
 */
import { Redacted } from "effect"

/**
 * Credentials as a transport found them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credentials {
  readonly bearer?: Redacted.Redacted<string>
  readonly apiKey?: Redacted.Redacted<string>
}

/**
 * @category constants
 * @since 0.1.0
 */
export const none: Credentials = {}

/**
 * Reads `Authorization: Bearer …` and `X-API-Key` from lower-case header names.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromHeaders = (headers: { readonly [name: string]: string | undefined }): Credentials => {
  const apiKey = headers["x-api-key"] || undefined
  const bearer = /^bearer +(\S+)$/iu.exec(headers["authorization"] ?? "")?.[1]
  if (apiKey === undefined && bearer === undefined) return none
  return {
    ...(bearer === undefined ? {} : { bearer: Redacted.make(bearer) }),
    ...(apiKey === undefined ? {} : { apiKey: Redacted.make(apiKey) })
  }
}
