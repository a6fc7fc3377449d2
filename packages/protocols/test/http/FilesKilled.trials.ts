import { assert, describe, it } from "@effect/vitest"
import { Content, Retention } from "@fastagentic/core"
import { Effect, Schema } from "effect"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { setTimeout as sleep } from "node:timers/promises"
import { childEnvironment } from "../mcp/clients.ts"
import { sqliteIn } from "../stores.ts"
import { by } from "./lab.ts"
import { as, get, post } from "./rest.ts"

const Stored = Schema.Struct({ fileId: Schema.String, mediaType: Schema.String, size: Schema.Int })
const script = new URL("uploadServer.ts", import.meta.url).pathname

/** A server process, and its address once it serves. */
const startServer = (folder: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const child = spawn(process.execPath, [script, folder], {
        env: childEnvironment(),
        stdio: ["ignore", "pipe", "pipe"]
      })
      let problem = ""
      child.stderr.on("data", (chunk) => problem += String(chunk))
      for await (const chunk of child.stdout) return { child, url: String(chunk).trim() }
      throw new Error(problem)
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const died = (child: ReturnType<typeof spawn>) =>
  Effect.promise(() =>
    new Promise<void>((resolve) =>
      child.exitCode === null && child.signalCode === null ? child.once("exit", () => resolve()) : resolve()
    )
  )

const form = (bytes: Uint8Array<ArrayBuffer>) => {
  const form = new FormData()
  form.append("file", new File([bytes], "a.png", { type: "image/png" }))
  return form
}

/** The blobs in a folder, each with whether its bytes are those of its name. */
const blobsIn = (folder: string) =>
  !existsSync(folder) ?
    [] :
    readdirSync(folder).filter((shard) => /^[0-9a-f]{2}$/u.test(shard)).flatMap((shard) =>
      readdirSync(join(folder, shard)).map((key) => ({
        key,
        isWhole: createHash("sha256").update(readFileSync(join(folder, shard, key))).digest("hex") === key
      }))
    )

describe("A server that is killed in the middle of uploads", () => {
  it.live(
    "leaves no half file, keeps the files of its runs, and the sweep removes the others",
    () =>
      Effect.gen(function*() {
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "uploads-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
        )
        const { child, url } = yield* startServer(folder)
        const photo = {
          bytes: Content.image({ bytes: new Uint8Array([1, 2, 3]) }, "image/png").bytes,
          mediaType: "image/png"
        }
        const answer = yield* post(`${url}/agents/look`, { photo }, by("ann"))
        assert.strictEqual(answer.status, 200)
        // One upload that never ends, and many that are on their way to the disk.
        const { port } = new URL(url)
        const socket = connect(Number(port), "127.0.0.1", () => {
          socket.write(
            `POST /files HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: key-of-ann\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 5000000\r\n\r\n--b\r\n`
          )
          socket.write(new Uint8Array(1_000_000))
        })
        socket.on("error", () => {})
        for (let index = 0; index < 12; index++) {
          fetch(`${url}/files`, {
            method: "POST",
            headers: by("ann"),
            body: form(new Uint8Array(4_000_000).fill(index))
          })
            .then((response) => response.text(), () => "")
            .catch(() => "")
        }
        const blobs = join(folder, "test.db.blobs")
        yield* Effect.promise(async () => {
          for (let turn = 0; turn < 2_000 && blobsIn(blobs).length < 6; turn++) await sleep(2)
        })
        child.kill("SIGKILL")
        yield* died(child)
        assert.isTrue(blobsIn(blobs).every(({ isWhole }) => isWhole))
        assert.isAbove(blobsIn(blobs).length, 5)

        // The next process serves what the runs hold, and its sweep removes the rest.
        yield* Effect.gen(function*() {
          const swept = yield* Retention.sweepBlobs({ writtenBefore: Date.now() + 60_000 })
          assert.isAbove(swept.blobs, 0)
        }).pipe(Effect.provide(sqliteIn(folder)), Effect.scoped)
        // Two files, the photo and its mirror image, and the holds of both.
        assert.strictEqual(blobsIn(blobs).length, 4)
        const again = yield* startServer(folder)
        const output = Schema.decodeUnknownSync(Content.List)(yield* Effect.promise(() => answer.json()))
        const [fileId = ""] = Content.fileIdsOf(output)
        const file = yield* get(`${again.url}/files/${fileId}`, by("ann"))
        assert.deepStrictEqual(
          new Uint8Array(yield* Effect.promise(() => file.arrayBuffer())),
          new Uint8Array([3, 2, 1])
        )
        const stored = yield* Effect.flatMap(
          Effect.promise(() =>
            fetch(`${again.url}/files`, { method: "POST", headers: by("ann"), body: form(new Uint8Array([7])) })
          ),
          as(Stored)
        )
        assert.strictEqual(stored.size, 1)
      }).pipe(Effect.scoped),
    60_000
  )
})
