/** CPU that the whole door adds to a call: everything on beside everything off, in turn, in the same run. */
import { generateKeyPairSync, sign } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { median } from "./durable/measure.ts"
import { type Load, send } from "./load.ts"
import { start } from "./process.ts"

const rounds = Number(process.env["ROUNDS"] ?? 5)
const requests = Number(process.env["REQUESTS"] ?? 4_000)
const concurrency = 16
const atMostMillis = 0.25

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
let issuer = ""
const identity = createServer(({ url }, response) => {
  const keys = [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "ES256", use: "sig" }]
  response.setHeader("content-type", "application/json")
    .end(JSON.stringify(url === "/jwks" ? { keys } : { issuer, jwks_uri: `${issuer}/jwks` }))
})
await new Promise<void>((resolve) => identity.listen(0, "127.0.0.1", resolve))
const address = identity.address()
issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
const claims = {
  iss: issuer,
  aud: "https://door.test",
  sub: "ada",
  org: "acme",
  roles: ["desk"],
  exp: Math.floor(Date.now() / 1_000) + 86_400
}
const text = `${encode({ alg: "ES256", kid: "one", typ: "at+jwt" })}.${encode(claims)}`
const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" })
const token = `${text}.${signature.toString("base64url")}`

const load: Load = {
  path: "/agents/echo",
  body: { text: "hello" },
  expect: "hello",
  headers: { authorization: `Bearer ${token}` }
}

const folder = mkdtempSync(join(tmpdir(), "bench-door-"))
try {
  console.log(`load before: ${loadavg().map((one) => one.toFixed(1)).join(" ")}`)
  for (const store of ["memory", "SQLite"]) {
    for (const durable of [false, true]) {
      await compare(store, durable)
    }
  }
} finally {
  identity.close()
  identity.closeAllConnections()
  rmSync(folder, { recursive: true })
}

async function compare(store: string, durable: boolean) {
  const fileOf = (door: string) => store === "memory" ? "" : join(folder, `${door}-${durable}.db`)
  const started = await Promise.all(
    (["off", "on"] as const).map((door) =>
      start("door", "", "", { DOOR: door, STORE: fileOf(door), ISSUER: issuer, DURABLE: durable ? "yes" : "no" })
    )
  )
  try {
    const costs = started.map((): Array<number> => [])
    for (let round = 0; round <= rounds; round++) {
      for (const [index, server] of started.entries()) {
        const before = server.cpuMillis()
        await send(server.url, load, requests, concurrency)
        // The first round only warms up.
        if (round > 0) costs[index]?.push((server.cpuMillis() - before) / requests)
      }
    }
    const [off = NaN, on = NaN] = costs.map(median)
    console.log(
      `${store}, ${durable ? "durable" : "not durable"}: off ${off.toFixed(3)} ms CPU a call, on ${
        on.toFixed(3)
      } ms, ` +
        `the door ${(on - off).toFixed(3)} ms (at most ${atMostMillis}); load ${loadavg()[0]?.toFixed(1)}`
    )
  } finally {
    for (const server of started) server.stop()
  }
}
