// A certificate authority and a certificate of it for localhost, made with `openssl`.
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const openssl = (folder: string, ...args: ReadonlyArray<string>) => {
  const { status, stderr } = spawnSync("openssl", args, { cwd: folder, encoding: "utf8" })
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`)
}

/** The files of a server's key and certificate, of the authority, and of another authority that did not sign it. */
export const certificates = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "certificates-"))
    const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for (const name of ["ca", "other"]) {
      openssl(folder, "req", "-x509", ...ec, "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.crt`)
    }
    openssl(folder, "req", ...ec, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    writeFileSync(join(folder, "names"), "subjectAltName=DNS:localhost")
    const signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl(folder, "x509", "-req", "-in", "server.csr", ...signed, "-out", "server.crt")
    const file = (name: string) => join(folder, name)
    return { folder, ca: file("ca.crt"), other: file("other.crt"), key: file("server.key"), cert: file("server.crt") }
  }),
  ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true }))
)
