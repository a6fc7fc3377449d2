/**
 * An S3 for the tests of one file: SeaweedFS (`weed` in PATH), which checks signatures and the hash of each upload.
 * Without it, tests are skipped, or fail when `FASTAGENTIC_REQUIRE_SERVICES` is 1.
 */
import { afterAll } from "@effect/vitest"
import { AwsClient } from "aws4fetch"
import { Effect, Redacted } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { describeUnless, freePorts, programInPath } from "../serverProcess.ts"

const binary = programInPath("weed")

const credentials = { accessKey: "test-access", secretKey: "test-s3cret" }

const bucket = "blobs"
const region = "us-east-1"

const identities = [{ name: "test", credentials: [credentials], actions: ["Admin", "Read", "List", "Write"] }]

class Server {
  readonly endpoint: string
  private readonly folder: string
  private readonly child: ChildProcess

  private constructor(folder: string, port: number, child: ChildProcess) {
    this.folder = folder
    this.child = child
    this.endpoint = `http://127.0.0.1:${port}`
  }

  static async make(): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), "s3-"))
    writeFileSync(join(folder, "s3.json"), JSON.stringify({ identities }))
    const names = ["master.port", "volume.port", "filer.port", "s3.port"]
    const ports = await freePorts(2 * names.length)
    const flags = names.flatMap((
      name,
      index
    ) => [`-${name}=${ports[2 * index]}`, `-${name}.grpc=${ports[2 * index + 1]}`])
    const child = spawn(binary ?? "", [
      "server",
      `-dir=${folder}`,
      "-ip=127.0.0.1",
      "-ip.bind=127.0.0.1",
      "-master.volumeSizeLimitMB=64",
      "-master.volumePreallocate=false",
      "-volume.max=5",
      "-s3",
      `-s3.config=${join(folder, "s3.json")}`,
      "-s3.iam=false",
      "-s3.port.iceberg=0",
      "-s3.port.lance=0",
      ...flags
    ], { cwd: folder, stdio: "ignore" })
    const server = new Server(folder, ports[6] ?? 0, child)
    while (!(await server.isReady())) {
      if (child.exitCode !== null) throw new Error(`weed ended with ${child.exitCode}`)
      await setTimeout(100)
    }
    return server
  }

  /** The first object takes seconds, because it creates the volumes. */
  private async isReady(): Promise<boolean> {
    const { accessKey: accessKeyId, secretKey: secretAccessKey } = credentials
    const client = new AwsClient({ accessKeyId, secretAccessKey, region, service: "s3", retries: 0 })
    return client.fetch(`${this.endpoint}/${bucket}/first`, { method: "PUT", body: "object" }).then(
      (response) => response.ok,
      () => false
    )
  }

  async remove(): Promise<void> {
    const exited = once(this.child, "exit")
    this.child.kill("SIGKILL")
    await exited
    rmSync(this.folder, { recursive: true, force: true })
  }
}

let shared: Promise<Server> | undefined

/** The server of this file, and a bucket in it. */
export const options = Effect.map(Effect.promise(() => shared ??= Server.make()), ({ endpoint }) => ({
  endpoint,
  bucket,
  region,
  accessKeyId: credentials.accessKey,
  secretAccessKey: Redacted.make(credentials.secretKey)
}))

/** Registers tests that need a server. */
export const describeWithServer = (name: string, body: () => void) => {
  afterAll(async () => {
    const started = shared
    shared = undefined
    if (started !== undefined) await (await started).remove()
  })
  describeUnless(binary === undefined ? "there is no weed in PATH" : undefined, name, body)
}
