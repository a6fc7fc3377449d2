// The connection settings of a PostgreSQL URL: TLS with a verified certificate off this machine, and an own schema if asked.
import type { PgClient } from "@effect/sql-pg"
import { Redacted, Result } from "effect"
import { readFileSync } from "node:fs"
import { isLoopback, parseStoreUrl } from "../../internal/storeUrl.ts"

type Settings = Pick<PgClient.PgClientConfig, "url" | "ssl" | "startupParameters">

/** Options that the client reads, and those that are read here. */
const forwarded = ["host", "port", "user", "password", "dbname", "application_name", "options", "connect_timeout"]
const known = [...forwarded, "sslmode", "sslrootcert", "schema"]

const verified = ["require", "verify-ca", "verify-full"]

/** `given` are settings of the caller, which take precedence; a failure says what is wrong with the URL. */
export const settingsOf = (
  text: Redacted.Redacted,
  given: Pick<Settings, "ssl" | "startupParameters"> & { readonly schema?: string | undefined },
  environment: Readonly<Record<string, string | undefined>> = process.env
): Result.Result<Settings & { readonly schema: string | undefined }, string> =>
  Result.flatMap(parseStoreUrl(Redacted.value(text), ["postgres:", "postgresql:"], known), ({ options, url }) => {
    for (const name of forwarded) {
      const value = options.get(name)
      if (value !== undefined) url.searchParams.set(name, value)
    }
    const schema = given.schema ?? options.get("schema")
    if (schema !== undefined && !/^[a-z_][a-z0-9_]{0,62}$/u.test(schema)) {
      return Result.fail("a schema is named by lower case letters, digits and _")
    }
    const startupParameters = { ...given.startupParameters, ...(schema === undefined ? {} : { search_path: schema }) }
    const mode = options.get("sslmode") ?? environment["PGSSLMODE"] ?? ""
    const ca = options.get("sslrootcert") ?? environment["PGSSLROOTCERT"]
    return Result.map(
      given.ssl === undefined ? sslOf(options.get("host") ?? url.hostname, mode, ca) : Result.succeed(given.ssl),
      (ssl) => ({ url: Redacted.make(url.href), ssl, startupParameters, schema })
    )
  })

const sslOf = (
  host: string,
  mode: string,
  ca: string | undefined
): Result.Result<NonNullable<Settings["ssl"]>, string> => {
  if (mode === "disable") return Result.succeed(false)
  if (mode === "prefer" || mode === "allow") {
    return Result.fail(
      `sslmode=${mode} can send the password in clear: use verify-full, or disable in a trusted network`
    )
  }
  if (mode !== "" && !verified.includes(mode)) {
    return Result.fail("its sslmode is not understood: use verify-full, or disable in a trusted network")
  }
  if (mode === "" && isLoopback(host)) return Result.succeed(false)
  if (ca === undefined) return Result.succeed({ rejectUnauthorized: true })
  return Result.try({
    try: () => ({ rejectUnauthorized: true, ca: readFileSync(ca, "utf8") }),
    catch: () => "the file of sslrootcert cannot be read"
  })
}
