// Sends each refresh of a token once: calls that run side by side find the same expired token, and an issuer that rotates
// refresh tokens takes the second use of one for a theft. oauth.ts wraps the fetch of its server with it.

export type Fetch = (url: string | URL | Request, init?: RequestInit) => Promise<Response>

/** How long the answer of a refresh serves those who ask with the same token. */
const millis = 30_000

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

export const refreshOnce = (fetch: Fetch): Fetch => {
  const known = new Map<string, Promise<Answer>>()
  const send = async (url: string | URL | Request, init: RequestInit): Promise<Answer> => {
    const response = await fetch(url, init)
    return { status: response.status, headers: response.headers, body: await response.text() }
  }
  return async (url, init = {}) => {
    const body = init.body instanceof URLSearchParams ? init.body : undefined
    const token = body?.get("grant_type") === "refresh_token" ? body.get("refresh_token") : null
    if (token === null) return fetch(url, init)
    const key = `${String(url)} ${token}`
    const answer = known.get(key) ?? send(url, init)
    known.set(key, answer)
    setTimeout(() => known.delete(key), millis).unref()
    try {
      const { headers, status, body: text } = await answer
      if (status !== 200) known.delete(key)
      return new Response(text, { status, headers })
    } catch (error) {
      known.delete(key)
      throw error
    }
  }
}
