// Reads the base URL of a server with the chat completions API in every form that people write it.
export interface Base {
  readonly url: string
  readonly query: Readonly<Record<string, string>>
}

/** Accepts a URL with or without `/v1`, a slash, a query or the path of the endpoint; `undefined` when it is no URL. */
export const baseOf = (text: string): Base | undefined => {
  if (!/^https?:\/\//u.test(text) || !URL.canParse(text)) return undefined
  const { origin, pathname, searchParams } = new URL(text)
  const path = pathname.replace(/\/+$/u, "").replace(/\/chat\/completions$/u, "")
  return { url: `${origin}${path === "" ? "/v1" : path}`, query: Object.fromEntries(searchParams) }
}
