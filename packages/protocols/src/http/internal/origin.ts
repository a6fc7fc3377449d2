// The check of a browser's `Origin` against the host that it called, for REST and WebSocket.
type Headers = { readonly [name: string]: string | undefined }

/** Whether a request comes from a page of another site. */
export const isCrossOrigin = ({ host = "", origin }: Headers): boolean => {
  if (origin === undefined) return false
  const [from, to] = [urlOf(origin), urlOf(`http://${host}`)]
  if (from === undefined || to === undefined) return true
  return from.host !== to.host && !(isLoopback(from.hostname) && isLoopback(to.hostname))
}

const urlOf = (url: string) => URL.canParse(url) ? new URL(url) : undefined

const isLoopback = (hostname: string) =>
  hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/u.test(hostname)
