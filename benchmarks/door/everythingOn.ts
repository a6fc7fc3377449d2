// Checks that every stage of the door was on during the measurement; a stage that is off would be cheap.
// The door benchmark calls it after each pair.
import { existsSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"

interface Done {
  /** The requests of any agent. */
  readonly calls: number
  /** The requests that paid for a model. */
  readonly paid: number
}

/** Asks the door itself. */
export const checkDoor = async (url: string, tokens: { readonly good: string; readonly idle: string }, done: Done) => {
  const ask = (token: string, path: string, body?: unknown) =>
    fetch(url + path, {
      headers: { "content-type": "application/json", ...(token === "" ? {} : { authorization: `Bearer ${token}` }) },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) })
    })
  const call = (token: string) => ask(token, "/agents/echo", { text: "hello" })
  same("a call without a token", (await call("")).status, 401)
  same("a call with a token that was changed", (await call(`${tokens.good.slice(0, -8)}AAAAAAAA`)).status, 401)
  const answer = await call(tokens.good)
  const remaining = Number(/r=(\d+)/u.exec(answer.headers.get("ratelimit") ?? "")?.[1])
  same("calls that the limit counted", limit - remaining, done.calls + 1)
  same("a call without the role", (await call(tokens.idle)).status, 403)
  const log = Object(await (await ask(tokens.good, "/audit?limit=1")).json())
  // A start and an end for each call, and one refusal.
  same("entries of the audit log", log.items?.[0]?.seq, 2 * (done.calls + 1) + 1)
  const usage = Object(await (await ask(tokens.good, "/usage?by=model")).json())
  same("calls of a model that were paid for", usage.items?.[0]?.calls ?? 0, done.paid)
}

export const limit = 1_000_000_000

/** Asks the file, once its server has gone. */
export const checkFile = (file: string, calls: number) => {
  if (!existsSync(file)) return
  const database = new DatabaseSync(file)
  try {
    same("runs in the file", Object(database.prepare("SELECT COUNT(*) AS runs FROM runs").get()).runs, calls)
  } finally {
    database.close()
  }
}

const same = (what: string, is: unknown, expected: number) => {
  if (is !== expected) throw new Error(`${what}: ${String(is)}, expected ${expected}`)
}
