/**
 * The way to a server that has a SQLite file to itself: a socket beside the file, for the user whom the file belongs to.
 *
 * @since 0.1.0
 */
import { SqliteFile } from "@fastagentic/stores/sqlite"
import { Effect, Layer, Option, Schema } from "effect"
import { chmodSync, rmSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"

/** A server has the file and could not make the backup. @category errors @since 0.1.0 */
export class BackupRefused extends Schema.TaggedError<BackupRefused>()("BackupRefused", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

const Request = Schema.fromJsonString(Schema.Struct({ target: Schema.String }))
const Answer = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ bytes: Schema.Int }),
  Schema.Struct({ problem: Schema.String })
]))

const pathOf = (file: string) => `${file}.sock`

/**
 * Answers `ask` for as long as the layer lives. Where there can be no socket, as under a path that is too long for one,
 * the server runs without it and says so.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (file: string): Layer.Layer<never> =>
  Layer.effectDiscard(Effect.flatMap(
    Effect.serviceOption(SqliteFile.SqliteFile),
    Option.match({
      onNone: () => Effect.void,
      onSome: ({ copyTo }) =>
        Effect.flatMap(Effect.context<never>(), (context) => {
          const run = Effect.runForkWith(context)
          return Effect.catch(
            listen(
              pathOf(file),
              (socket, text) =>
                run(Effect.flatMap(answer(copyTo, text), (reply) => Effect.sync(() => socket.end(reply))))
            ),
            (error) => Effect.logWarning("`fastagentic store backup` cannot reach this server", error)
          )
        })
    })
  ))

const answer = (copyTo: SqliteFile.SqliteFile["Service"]["copyTo"], text: string) =>
  Schema.decodeUnknownEffect(Request)(text).pipe(
    Effect.flatMap(({ target }) => copyTo(target)),
    Effect.match({
      onFailure: ({ message }) => ({ problem: message }),
      onSuccess: (bytes) => ({ bytes })
    }),
    Effect.flatMap((reply) => Effect.orDie(Schema.encodeEffect(Answer)(reply)))
  )

/** Removes the socket that a killed process has left: only the server that holds the file gets here. */
const listen = (path: string, onRequest: (socket: Socket, text: string) => void) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createServer>, Error>((resume) => {
      rmSync(path, { force: true })
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on("error", () => {})
        readAll(socket, (text) => onRequest(socket, text))
      })
      server.once("error", (error) => resume(Effect.fail(error)))
      server.listen(path, () => {
        chmodSync(path, 0o600)
        resume(Effect.succeed(server))
      })
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )

const readAll = (socket: Socket, done: (text: string) => void) => {
  let text = ""
  socket.setEncoding("utf8").on("data", (part: string) => {
    text += part
  })
  socket.once("end", () => done(text))
}

/**
 * Asks the server of a file to copy it to an absolute path; nothing when no server answers there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ask = (file: string, target: string): Effect.Effect<number | undefined, BackupRefused> =>
  Effect.flatMap(
    Effect.callback<string | undefined>((resume) => {
      const socket = connect(pathOf(file))
      socket.once("error", () => resume(Effect.undefined))
      socket.once("connect", () => socket.end(JSON.stringify({ target })))
      readAll(socket, (text) => resume(Effect.succeed(text)))
      return Effect.sync(() => socket.destroy())
    }),
    (text) => {
      if (text === undefined) return Effect.undefined
      return Effect.flatMap(
        Effect.mapError(
          Schema.decodeUnknownEffect(Answer)(text),
          () => new BackupRefused({ problem: "the server went away" })
        ),
        (reply) => "bytes" in reply ? Effect.succeed(reply.bytes) : Effect.fail(new BackupRefused(reply))
      )
    }
  )
