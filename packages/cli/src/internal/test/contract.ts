// The promises of an app to its callers, as files: `contract/openapi.json`, `mcp.json` and `a2a.json` beside the scenarios. A
// change of them is a difference until `--update` records it.
import { Effect, FileSystem, Path } from "effect"
import type { Say } from "../doctor/finding.ts"
import * as Documents from "../remote/documents.ts"
import type { Server } from "../remote/server.ts"
import * as Golden from "./golden.ts"

/** Compares each document with its file; documents without a file are checked for being there alone. */
export const check = Effect.fnUntraced(function*(
  server: Server,
  { folder, say, update }: { readonly folder: string; readonly update: boolean; readonly say: Say }
) {
  const path = yield* Path.Path
  for (const name of Documents.names) {
    const read = yield* Effect.result(Documents.read(name, server))
    const check = `contract ${name}`
    if (read._tag === "Failure") {
      yield* say({ check, verdict: "fault", detail: read.failure.message })
      continue
    }
    yield* reported(path.join(folder, "contract", `${name}.json`), read.success, { check, update, say })
  }
})

/** Compares a value with its file, and says how it went. */
export const reported: (
  file: string,
  value: unknown,
  options: { readonly check: string; readonly update: boolean; readonly say: Say }
) => Effect.Effect<void, Golden.Unwritable, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function*(
  file,
  value,
  { check, say, update }
) {
  const verdict = yield* Golden.compare(file, value, update)
  switch (verdict._tag) {
    case "Same":
      return yield* say({ check, verdict: "ok", detail: "as recorded" })
    case "Written":
      return yield* say({ check, verdict: "ok", detail: `recorded in ${file}` })
    case "Unrecorded":
      return yield* say({ check, verdict: "note", detail: "answers; --update records it" })
    case "Differs":
      return yield* say({
        check,
        verdict: "fault",
        detail: verdict.lines.join("\n       "),
        remedy: "If this is meant, --update records it."
      })
  }
})
