// Parses Envoy's `X-Forwarded-Client-Cert`; a header about more than one client is refused.
import type { Certificate } from "../Certificate.ts"
import { fromX509 } from "./clientCert.ts"

/**
 * The value of `X-Forwarded-Client-Cert` as Envoy writes it, `Key=value;Key="quoted value"`. It has to describe one
 * client: with `APPEND_FORWARD` the client's own value would come first.
 */
export const fromXfcc = (header: string, now: number): Certificate | undefined => {
  if (!/^(?:[A-Za-z]+=(?:"(?:[^"\\]|\\.)*"|[^",;]*)(?:;|$))+$/u.test(header)) return undefined
  const pairs = Array.from(header.matchAll(/([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;]*)(?:;|$)/gu))
  const values = (key: string) =>
    pairs.flatMap(([, found = "", value = ""]) =>
      found.toLowerCase() === key && value !== "" && value !== "\"\"" ? [unquoted(value)] : []
    )
  const [pem, ...others] = values("cert")
  if (others.length > 0 || values("hash").length > 1 || values("subject").length > 1) return undefined
  if (pem !== undefined) return fromX509(decoded(pem), now)
  const [subject = ""] = values("subject")
  const [uris, dns] = [values("uri"), values("dns")]
  if (subject === "" && uris.length === 0 && dns.length === 0) return undefined
  return { subject, commonName: undefined, uris, dns, emails: [] }
}

const unquoted = (value: string) =>
  value.startsWith("\"") ? value.slice(1, -1).replaceAll(/\\(.)/gu, (_, character: string) => character) : value

const decoded = (text: string) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return ""
  }
}
