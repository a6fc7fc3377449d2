// Reads the URL of a store's server. Every option must be understood, and no error contains the URL: it may hold a password.
import { Result } from "effect"

/** A URL with its options; `url` has none of them. */
export interface StoreUrl {
  readonly url: URL
  readonly options: ReadonlyMap<string, string>
}

const encode = "the characters @ : / ? # % of a user name or password must be percent-encoded"

/** Reads a URL with one of these protocols and no other options than these; a failure says what is wrong. */
export const parseStoreUrl = (
  text: string,
  protocols: ReadonlyArray<string>,
  known: ReadonlyArray<string>
): Result.Result<StoreUrl, string> => {
  if (!URL.canParse(text)) return Result.fail(`it is not a URL; ${encode}`)
  const url = new URL(text)
  if (!protocols.includes(url.protocol)) return Result.fail(`its protocol is none of ${protocols.join(", ")}`)
  // The rest of a password with such a character would be read as a path or an option.
  if (url.hash !== "" || [url.pathname, url.search].some((part) => part.includes("@"))) return Result.fail(encode)
  if (!canDecode(url.username) || !canDecode(url.password)) return Result.fail(encode)
  const options = new Map<string, string>()
  for (const [name, value] of url.searchParams) {
    if (!known.includes(name)) {
      return Result.fail(`its option ${shown(name)}is not understood; known: ${known.join(", ")}`)
    }
    if (options.has(name)) return Result.fail(`its option "${name}" is given twice`)
    options.set(name, value)
  }
  url.search = ""
  return Result.succeed({ url, options })
}

/** The name of an option, unless it may be a part of a password. */
const shown = (name: string) => /^[a-z_-]{1,24}$/iu.test(name) ? `"${name}" ` : ""

const canDecode = (text: string) => Result.isSuccess(Result.try(() => decodeURIComponent(text)))

/** Whether a host is this machine, or the folder of a socket on it: nobody else can read what is sent. */
export const isLoopback = (host: string): boolean => {
  const name = host.replace(/^\[|\]$/gu, "")
  return name === "" || name.startsWith("/") || name === "localhost" || name === "::1" ||
    /^127(\.\d{1,3}){3}$/u.test(name)
}
