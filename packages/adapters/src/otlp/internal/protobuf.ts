// Writes protobuf front to back into one growing buffer; a message's length is inserted when it ends.
export class Writer {
  private bytes = new Uint8Array(1 << 16)
  private view = new DataView(this.bytes.buffer)
  private at = 0

  /** The bytes written so far. */
  get written(): Uint8Array {
    return this.bytes.slice(0, this.at)
  }

  /** Begins a nested message; `end` takes the position that it returns. */
  begin(field: number): number {
    this.tag(field, 2)
    this.bytes[this.at++] = 0
    return this.at
  }

  end(start: number) {
    const length = this.at - start
    let size = 1
    for (let rest = length >>> 7; rest > 0; rest >>>= 7) size++
    if (size > 1) {
      this.room(size)
      this.bytes.copyWithin(start + size - 1, start, this.at)
    }
    this.at = start - 1
    this.small(length)
    this.at += length
  }

  text(field: number, text: string) {
    this.room(text.length * 3 + 16)
    const start = this.begin(field)
    const { bytes } = this
    let at = start
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      if (code > 127 || text.length > 64) {
        at = start + encoder.encodeInto(text, bytes.subarray(start)).written
        break
      }
      bytes[at++] = code
    }
    this.at = at
    this.end(start)
  }

  /** Writes bytes given as hex. */
  hex(field: number, hex: string) {
    const start = this.begin(field)
    this.room(hex.length)
    for (let index = 0; index < hex.length; index += 2) {
      this.bytes[this.at++] = digit(hex.charCodeAt(index)) << 4 | digit(hex.charCodeAt(index + 1))
    }
    this.end(start)
  }

  /** An integer of up to 64 bits. */
  integer(field: number, value: number | bigint) {
    this.tag(field, 0)
    if (typeof value === "number" && value >= 0 && value < 2 ** 31) return this.small(value)
    let rest = BigInt.asUintN(64, BigInt(value))
    for (; rest > 127n; rest >>= 7n) this.bytes[this.at++] = Number(rest & 127n) | 128
    this.bytes[this.at++] = Number(rest)
  }

  fixed64(field: number, value: bigint) {
    this.tag(field, 1)
    this.view.setBigUint64(this.at, value, true)
    this.at += 8
  }

  double(field: number, value: number) {
    this.tag(field, 1)
    this.view.setFloat64(this.at, value, true)
    this.at += 8
  }

  private tag(field: number, wire: number) {
    this.room(24)
    this.small(field << 3 | wire)
  }

  private small(value: number) {
    let rest = value
    for (; rest > 127; rest >>>= 7) this.bytes[this.at++] = rest & 127 | 128
    this.bytes[this.at++] = rest
  }

  private room(size: number) {
    if (this.at + size <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + size))
    grown.set(this.bytes)
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }
}

const encoder = new TextEncoder()

const digit = (code: number) => code < 58 ? code - 48 : (code | 32) - 87
