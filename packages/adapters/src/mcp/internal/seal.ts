// Encrypts what is stored of an authorization, for one server and with the key of the app: AES-256-GCM under a derived key. The
// address of the server is authenticated, so that tokens of one server cannot be stored for another. oauth.ts uses it.
import { Redacted } from "effect"
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto"

const [version, ivBytes, tagBytes, shortest] = [1, 12, 16, 32]

export const makeSeal = (key: Redacted.Redacted, server: string) => {
  const secret = Redacted.value(key)
  if (secret.length < shortest) throw new Error(`the key of the tokens has to have ${shortest} characters at least`)
  const derived = Buffer.from(hkdfSync("sha256", secret, "", "fastagentic tokens of MCP servers", 32))
  const about = Buffer.from(server)
  return {
    seal: (text: string): Uint8Array => {
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv("aes-256-gcm", derived, iv).setAAD(about)
      const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()])
      return Buffer.concat([Buffer.of(version), iv, cipher.getAuthTag(), sealed])
    },
    /** Throws when the bytes were sealed with another key, for another server, or were changed. */
    open: (bytes: Uint8Array): string => {
      const whole = Buffer.from(bytes)
      const [iv, tag] = [whole.subarray(1, 1 + ivBytes), whole.subarray(1 + ivBytes, 1 + ivBytes + tagBytes)]
      if (whole[0] !== version || tag.length !== tagBytes) throw new Error("it is no stored authorization")
      try {
        const decipher = createDecipheriv("aes-256-gcm", derived, iv).setAAD(about).setAuthTag(tag)
        return decipher.update(whole.subarray(1 + ivBytes + tagBytes), undefined, "utf8") + decipher.final("utf8")
      } catch (cause) {
        throw new Error("the stored authorization was encrypted with another key, or for another server", { cause })
      }
    }
  }
}
