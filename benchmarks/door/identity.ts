// An identity provider on loopback, and the token of one caller.
import { generateKeyPairSync, sign } from "node:crypto"
import { createServer } from "node:http"

export const startIdentity = async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  let issuer = ""
  const server = createServer(({ url }, response) => {
    const keys = [{ ...publicKey.export({ format: "jwk" }), kid: "one", alg: "ES256", use: "sig" }]
    response.setHeader("content-type", "application/json")
      .end(JSON.stringify(url === "/jwks" ? { keys } : { issuer, jwks_uri: `${issuer}/jwks` }))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`

  const tokenFor = (roles: ReadonlyArray<string>) => {
    const claims = {
      iss: issuer,
      aud: "https://door.test",
      sub: "ada",
      org: "acme",
      roles,
      exp: Math.floor(Date.now() / 1_000) + 86_400
    }
    const text = `${encode({ alg: "ES256", kid: "one", typ: "at+jwt" })}.${encode(claims)}`
    const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" })
    return `${text}.${signature.toString("base64url")}`
  }

  return {
    issuer,
    tokenFor,
    stop: () => {
      server.close()
      server.closeAllConnections()
    }
  }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
