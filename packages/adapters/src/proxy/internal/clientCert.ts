// Parses `Client-Cert` (RFC 9440) and checks that the certificate is in force.
import { X509Certificate } from "node:crypto"
import type { Certificate } from "../Certificate.ts"

/** The value of `Client-Cert`, RFC 9440: one DER certificate as a byte sequence. */
export const fromClientCert = (header: string, now: number): Certificate | undefined => {
  const [, base64] = /^:([A-Za-z0-9+/]+={0,2}):$/u.exec(header.trim()) ?? []
  return base64 === undefined ? undefined : fromX509(Buffer.from(base64, "base64"), now)
}

/** Parses a certificate, DER or PEM, that is in force. */
export const fromX509 = (bytes: Buffer | string, now: number): Certificate | undefined => {
  try {
    const certificate = new X509Certificate(bytes)
    if (now < certificate.validFromDate.getTime() || now > certificate.validToDate.getTime()) return undefined
    const { CN } = certificate.toLegacyObject().subject
    const names = namesIn(certificate.subjectAltName ?? "")
    return {
      subject: certificate.subject,
      commonName: typeof CN === "string" ? CN : undefined,
      uris: names("URI"),
      dns: names("DNS"),
      emails: names("email")
    }
  } catch {
    return undefined
  }
}

/** Node quotes, as JSON, a name that could be mistaken for two. */
const namesIn = (text: string) => {
  const names = Array.from(text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,"]*)/gu))
  return (kind: string): ReadonlyArray<string> =>
    names.flatMap(([, found, value = ""]) =>
      found === kind ? [value.startsWith("\"") ? String(JSON.parse(value)) : value] : []
    )
}
