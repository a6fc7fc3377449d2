// The flags that name a store, of commands that read the data of a server. They are apart from Store.ts, so that the help of a
// command loads no database.
import { Config } from "effect"
import * as Flag from "effect/cli/Flag"

const named = (name: string, description: string): Flag.Flag<string> =>
  Flag.String(name).pipe(
    Flag.withDescription(description),
    Flag.withFallbackConfig(Config.String("FASTAGENTIC_STORE"))
  )

/** The flag of a command that reads the data of a server. */
export const flag = (name: string): Flag.Flag<string> =>
  named(name, "The SQLite file of a server that is not running, or a postgres:// or redis:// URL")

/** The flag of a command that may be called while the server of a file runs. */
export const fileFlag = (name: string): Flag.Flag<string> =>
  named(name, "The SQLite file, whether its server runs or not")
