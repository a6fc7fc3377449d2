// Splits bytes of a pipe into lines of a bounded length: the frames and the log of a Python process, the log of an MCP server.

const newline = 10

/** Lines as text. A line that is longer than `most` bytes is given to `tooLong`, and its rest is left out. */
export class Lines {
  private readonly most: number
  private readonly take: (line: string, isWhole: boolean) => void
  private waiting: Array<Uint8Array> = []
  private size = 0
  private isSkipping = false

  constructor(most: number, take: (line: string, isWhole: boolean) => void) {
    this.most = most
    this.take = take
  }

  push(chunk: Uint8Array) {
    let rest = chunk
    for (let end = rest.indexOf(newline); end >= 0; end = rest.indexOf(newline)) {
      this.add(rest.subarray(0, end))
      this.end(true)
      rest = rest.subarray(end + 1)
    }
    this.add(rest)
  }

  private add(piece: Uint8Array) {
    if (this.isSkipping || piece.length === 0) return
    this.waiting.push(piece.subarray(0, this.most - this.size))
    this.size += piece.length
    if (this.size <= this.most) return
    this.end(false)
    this.isSkipping = true
  }

  private end(isWhole: boolean) {
    if (!this.isSkipping) this.take(Buffer.concat(this.waiting).toString("utf8"), isWhole)
    this.isSkipping = false
    this.waiting = []
    this.size = 0
  }
}
