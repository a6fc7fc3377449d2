// The connection settings of a Redis URL: TLS with a verified certificate off this machine, and an own prefix if asked.
import { Result } from "effect"
import { readFileSync } from "node:fs"
import type { ConnectionOptions } from "node:tls"
import { isLoopback, parseStoreUrl } from "../../internal/storeUrl.ts"

const known = ["tls", "cacert", "prefix"]

export interface Settings {
  /** The address; the protocol `rediss:` means TLS. */
  readonly url: string
  readonly tls: ConnectionOptions | undefined
  readonly prefix: string | undefined
}

/** `given` are settings of the caller, which take precedence; a failure says what is wrong with the URL. */
export const settingsOf = (
  text: string,
  given: boolean | ConnectionOptions | undefined
): Result.Result<Settings, string> =>
  Result.flatMap(
    parseStoreUrl(text, ["redis:", "rediss:"], known),
    ({ options, url }): Result.Result<Settings, string> => {
      const mode = options.get("tls") ?? ""
      if (mode !== "" && mode !== "verify" && mode !== "disable") {
        return Result.fail("its tls is not understood: use verify, or disable in a trusted network")
      }
      if (mode === "disable" && url.protocol === "rediss:") {
        return Result.fail("rediss: and tls=disable contradict each other")
      }
      if (!/^(\/\d*)?$/u.test(url.pathname)) return Result.fail("its path is not the number of a database")
      const withTls = given === undefined
        ? mode === "verify" || url.protocol === "rediss:" || (mode === "" && !isLoopback(url.hostname))
        : given !== false
      const prefix = options.get("prefix")
      if (!withTls) return Result.succeed({ url: url.href, tls: undefined, prefix })
      const own = typeof given === "object" ? given : {}
      const file = options.get("cacert")
      return Result.map(
        Result.try({
          try: () => file === undefined ? {} : { ca: readFileSync(file, "utf8") },
          catch: () => "the file of cacert cannot be read"
        }),
        (ca) => ({
          url: url.href.replace(/^redis:/u, "rediss:"),
          tls: { rejectUnauthorized: true, ...ca, ...own },
          prefix
        })
      )
    }
  )
