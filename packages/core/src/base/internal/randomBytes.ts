// Random bytes and ids from the Web Crypto API; the core may not import node:crypto.
/** Random bytes from a block that is filled rarely: asking the system costs more than the bytes. */
const block = new Uint8Array(4_096)
let used = block.length

/** The place of so many bytes in the block that nothing else gets. */
const take = (size: number): number => {
  if (used + size > block.length) {
    globalThis.crypto.getRandomValues(block)
    used = 0
  }
  used += size
  return used - size
}

export const randomBytes = (size: number): Uint8Array => {
  if (size > block.length) return globalThis.crypto.getRandomValues(new Uint8Array(size))
  const start = take(size)
  const bytes = block.slice(start, start + size)
  block.fill(0, start, start + size)
  return bytes
}

const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** The hex digits of so many bytes, which are no more than a block has. */
export const randomHex = (size: number): string => {
  let text = ""
  const start = take(size)
  for (let index = start; index < start + size; index++) {
    text += digits[block[index] ?? 0]
    block[index] = 0
  }
  return text
}
