// Loaded into a node before its code: a transaction of SQLite fails before it begins, or after it was committed, for as long
// as the file `CHAOS_SQLITE` says so. targets.ts writes that file.
import { readFileSync } from "node:fs"
import { StatementSync } from "node:sqlite"

const file = process.env["CHAOS_SQLITE"]

const fault = () => file === undefined ? "" : readFileSync(file, "utf8")

const failed = (errcode: number, message: string) => Object.assign(new Error(message), { errcode })

StatementSync.prototype.all = new Proxy(StatementSync.prototype.all, {
  apply: (all, statement: StatementSync, parameters) => {
    const { sourceSQL } = statement
    if (sourceSQL.startsWith("BEGIN") && fault() === "before") throw failed(5, "database is locked")
    const rows: unknown = Reflect.apply(all, statement, parameters)
    if (sourceSQL === "COMMIT" && fault() === "after") throw failed(10, "disk I/O error")
    return rows
  }
})
