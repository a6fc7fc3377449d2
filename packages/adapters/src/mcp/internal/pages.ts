// The addresses that a remote server wants a person to open. questions.ts asks before it shows one: only addresses of the public
// network, over https, without credentials, are shown. The app itself never fetches one.
import { isIP } from "node:net"
import { makeAllowed } from "../../egress/internal/addresses.ts"

/** The most characters of an address that a person can examine. */
const longest = 2_048

/** The address as it is shown, with the ASCII form of its host; nothing when it is shown to nobody. */
export const shownUrl = (url: string, allow: ReadonlyArray<string> = []): string | undefined => {
  const parsed = url.length > longest ? null : URL.parse(url)
  if (parsed === null || parsed.href.length > longest || parsed.username !== "" || parsed.password !== "") {
    return undefined
  }
  const host = parsed.hostname.replace(/^\[(.*)\]$/u, "$1").replace(/\.$/u, "")
  const isNamed = isIP(host) === 0
  if (isNamed && (host === "localhost" || host.endsWith(".localhost"))) return undefined
  if (!isNamed && makeAllowed(allow)?.(host) !== true) return undefined
  // An address that the app may reach although it is not public is one of the operator's own network.
  const isOwn = !isNamed && makeAllowed([])?.(host) !== true
  return parsed.protocol === "https:" || (parsed.protocol === "http:" && isOwn) ? parsed.href : undefined
}
