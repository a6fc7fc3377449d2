// Random bytes and ids from the Web Crypto API; the core may not import node:crypto.
/** Random bytes from a block that is filled rarely: asking the system costs more than the bytes. */
const block = new Uint8Array(4_096)
let used = block.length

export const randomBytes = (size: number): Uint8Array => {
  if (size > block.length) return globalThis.crypto.getRandomValues(new Uint8Array(size))
  if (used + size > block.length) {
    globalThis.crypto.getRandomValues(block)
    used = 0
  }
  const bytes = block.slice(used, used + size)
  block.fill(0, used, used + size)
  used += size
  return bytes
}

const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

export const randomHex = (size: number): string => {
  let text = ""
  for (const byte of randomBytes(size)) text += digits[byte]
  return text
}
