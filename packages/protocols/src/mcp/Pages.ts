// Pages of the lists of MCP. A cursor names the last entry that was sent, so that every node understands it, and a list
// that changes meanwhile neither repeats nor loses the others.
import { Result } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"

/** Many hosts read one page of tools only, so that a page is large. */
const pageSize = 500

export interface Page<Item> {
  readonly items: Array<Item>
  readonly nextCursor?: string
}

/** The page after a cursor, of entries in the order of their keys; nothing for a cursor that no page has given. */
export const page = <Item>(
  all: ReadonlyArray<Item>,
  keyOf: (item: Item) => string,
  cursor: string | undefined
): Page<Item> | undefined => {
  const after = cursor === undefined ? "" : keyIn(cursor)
  if (after === undefined) return undefined
  const items = all.filter((item) => keyOf(item) > after).slice(0, pageSize + 1)
  const last = items[pageSize - 1]
  return items.length > pageSize && last !== undefined
    ? { items: items.slice(0, pageSize), nextCursor: Base64Url.encode(prefix + keyOf(last)) }
    : { items }
}

const prefix = "after:"

const keyIn = (cursor: string): string | undefined => {
  const text = Result.getOrElse(Base64Url.decodeString(cursor), () => "")
  return text.startsWith(prefix) && Base64Url.encode(text) === cursor ? text.slice(prefix.length) : undefined
}
