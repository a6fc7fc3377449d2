// The error of a file that is in use; `SqliteClient` exports it.
import { Schema } from "effect"

/**
 * Another process, or another client in this one, holds a lock on the file.
 *
 * @category errors
 * @since 0.1.0
 */
export class SqliteLocked extends Schema.TaggedError<SqliteLocked>()("SqliteLocked", {
  filename: Schema.String
}) {
  override get message(): string {
    return `The database "${this.filename}" is in use by another process or client`
  }
}
