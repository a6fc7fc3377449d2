import { assert, describe, it } from "@effect/vitest"
import { Content, Credentials } from "@fastagentic/core"
import { Client } from "@fastagentic/protocols/http"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Effect, Redacted, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { connect } from "node:net"
import { Desk, png, serveDesk } from "../desk.ts"
import { mounted, mountedWith } from "../fixture.ts"
import { by } from "./lab.ts"
import { as, frames, get, json, post, Problem, text } from "./rest.ts"
import * as Socket from "./socket.ts"

const start = serveDesk(mounted("rest"))
const base64 = Content.image({ bytes: png }, "image/png").bytes ?? ""

const formOf = (parts: Record<string, string | File>) => {
  const form = new FormData()
  for (const [name, value] of Object.entries(parts)) form.append(name, value)
  return form
}
const photo = (name = "dög \"1\".png", type = "image/png") => new File([png], name, { type })

const postForm = (url: string, form: FormData, id = "ann") =>
  Effect.promise((signal) => fetch(url, { method: "POST", body: form, headers: by(id), signal }))

const Stored = Schema.Struct({
  fileId: Schema.String,
  mediaType: Schema.String,
  name: Schema.optionalKey(Schema.String),
  size: Schema.Int
})
const upload = (url: string, id = "ann") =>
  Effect.flatMap(postForm(`${url}/files`, formOf({ file: photo() }), id), as(Stored))

const bytesOf = (response: Response) =>
  Effect.map(Effect.promise(() => response.arrayBuffer()), (buffer) => new Uint8Array(buffer))

const output = (response: Response) => Effect.map(json(response), Schema.decodeUnknownSync(Content.List))
const imageOf = (contents: Content.List) => {
  const image = contents.find(({ type }) => type === "image")
  return image?.type === "image" ? image : assert.fail("no image")
}

describe("Files over REST", () => {
  it.live("a form fills the payload; its file goes through an agent and a tool and comes back as content", () =>
    Effect.gen(function*() {
      const url = yield* start
      const form = formOf({ photo: photo(), note: "12", times: "3" })
      const response = yield* postForm(`${url}/agents/look/stream`, form)
      assert.strictEqual(response.status, 200)
      const events = frames(yield* text(response))
      const said = events.find(({ event }) => event === "content")?.data.data
      const { content } = Schema.decodeUnknownSync(Schema.Struct({ content: Content.List }))(said)
      const shown = imageOf(content)
      assert.deepStrictEqual({ ...shown, fileId: "" }, {
        type: "image",
        mediaType: "image/png",
        size: png.length,
        name: "mirrored.png",
        fileId: ""
      })
      const done = events.find(({ event }) => event === "done")?.data.data
      const answer = Schema.decodeUnknownSync(Schema.Struct({ output: Content.List }))(done).output
      assert.deepStrictEqual(answer[0], Content.text("12 10 3", { annotations: { audience: ["user"] } }))
      assert.deepStrictEqual(imageOf(answer), shown)
      const file = yield* get(`${url}/files/${shown.fileId}`, by("ann"))
      assert.deepStrictEqual(yield* bytesOf(file), png.toReversed())
      // The record has the reference, not the bytes.
      const runId = events[0]?.data.runId ?? ""
      const run = yield* Effect.flatMap(get(`${url}/runs/${runId}`, by("ann")), text)
      assert.notInclude(run, base64)
    }).pipe(Effect.scoped))

  it.live("an uploaded file is named by its id, and served as a download that nothing runs", () =>
    Effect.gen(function*() {
      const url = yield* start
      const first = yield* postForm(`${url}/files`, formOf({ file: photo() }))
      assert.strictEqual(first.status, 201)
      const stored = yield* as(Stored)(first)
      assert.strictEqual(first.headers.get("location"), `/files/${stored.fileId}`)
      assert.deepStrictEqual({ ...stored, fileId: "" }, {
        mediaType: "image/png",
        name: "dög \"1\".png",
        size: png.length,
        fileId: ""
      })
      const second = yield* post(
        `${url}/files`,
        { bytes: base64, mediaType: "image/png", name: stored.name },
        by("ann")
      )
      assert.deepStrictEqual(yield* as(Stored)(second), stored)
      const answer = yield* post(`${url}/agents/look`, { photo: stored }, by("ann"))
      assert.deepStrictEqual((yield* output(answer))[0]?.type, "text")

      const html = yield* Effect.flatMap(
        post(`${url}/files`, { bytes: btoa("<script>"), mediaType: "text/html", name: "a.html" }, by("ann")),
        as(Stored)
      )
      for (const { fileId, mediaType } of [stored, html]) {
        const { headers } = yield* get(`${url}/files/${fileId}`, by("ann"))
        assert.strictEqual(headers.get("content-type"), mediaType)
        assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
        assert.include(headers.get("content-security-policy") ?? "", "sandbox")
        assert.strictEqual(headers.get("cross-origin-resource-policy"), "same-origin")
        assert.strictEqual(headers.get("cache-control"), "no-store")
        assert.match(headers.get("content-disposition") ?? "", /^attachment; filename="/u)
      }
      const { headers } = yield* get(`${url}/files/${stored.fileId}`, by("ann"))
      assert.strictEqual(
        headers.get("content-disposition"),
        "attachment; filename=\"d_g _1_.png\"; filename*=UTF-8''d%C3%B6g%20%221%22.png"
      )
    }).pipe(Effect.scoped))

  it.live("the typed client uploads a file, gives it to an agent and reads it back", () =>
    Effect.gen(function*() {
      const url = yield* start
      const client = yield* Client.make(Desk, {
        url,
        credentials: { ...Credentials.none, apiKey: Redacted.make("key-of-ann") }
      })
        .pipe(Effect.provide(FetchHttpClient.layer))
      const stored = yield* client.files.upload({ bytes: png, mediaType: "image/png", name: "dög.png" })
      assert.deepInclude(stored, { mediaType: "image/png", name: "dög.png", size: png.length })
      const plain = yield* client.files.upload({ bytes: png, mediaType: "image/png" })
      assert.isUndefined(plain.name)
      const answer = yield* client.agents.look({ photo: stored })
      assert.strictEqual(answer[0]?.type, "text")
      assert.deepStrictEqual(yield* client.files.read(stored.fileId), png)
      const missing = yield* Effect.flip(client.files.read("0".repeat(64)))
      assert.strictEqual(missing.reason._tag, "FileNotFound")
    }).pipe(Effect.scoped))

  it.live("the file of another owner and of another tenant looks like one that does not exist", () =>
    Effect.gen(function*() {
      const url = yield* start
      const { fileId } = yield* upload(url)
      const none = "0".repeat(64)
      const seen = Effect.fnUntraced(function*(id: string, fileId: string) {
        const read = yield* get(`${url}/files/${fileId}`, by(id))
        const used = yield* post(
          `${url}/agents/look`,
          { photo: { fileId, mediaType: "image/png", size: 3 } },
          by(id)
        )
        const body = `${yield* text(read)}${yield* text(used)}`
        return [read.status, used.status, body.replaceAll(/"traceId":"[^"]+"/gu, "").replaceAll(fileId, "ID")]
      })
      for (const id of ["ben", "dan"]) {
        assert.deepStrictEqual(yield* seen(id, fileId), yield* seen(id, none))
        assert.deepStrictEqual((yield* seen(id, fileId)).slice(0, 2), [404, 400])
      }
      assert.strictEqual((yield* get(`${url}/files/${fileId}`, by("cleo"))).status, 200)
      assert.strictEqual((yield* get(`${url}/files/${fileId}`)).status, 401)
      assert.strictEqual((yield* get(`${url}/files/..%2f..%2fetc%2fpasswd`, by("ann"))).status, 404)
      // The same bytes of two owners are two files.
      assert.notStrictEqual((yield* upload(url, "dan")).fileId, fileId)
    }).pipe(Effect.scoped))

  it.live("a file that is not allowed is refused with the place where it was given", () =>
    Effect.gen(function*() {
      const url = yield* start
      const wrong = yield* postForm(`${url}/agents/look`, formOf({ photo: photo("a.txt", "text/plain") }))
      const large = yield* postForm(
        `${url}/agents/look`,
        formOf({ photo: new File([new Uint8Array(1_001)], "a.png", { type: "image/png" }) })
      )
      const twice = formOf({ photo: photo() })
      twice.append("photo", photo())
      const problems = [wrong, large, yield* postForm(`${url}/agents/look`, twice)]
      const found = yield* Effect.forEach(problems, (response) =>
        Effect.map(text(response), (body) => [response.status, body]))
      assert.deepStrictEqual(
        found.map(([status]) =>
          status
        ),
        [400, 400, 400]
      )
      assert.include(String(found[0]?.[1]), "photo: Expected a file of the type image/*, but it is text/plain")
      assert.include(String(found[1]?.[1]), "photo: Expected at most 1000 bytes, but the file has 1001")
      assert.include(String(found[2]?.[1]), "photo")
      const base = { mediaType: "image/png", bytes: "AQID" }
      const both = yield* post(`${url}/agents/look`, { photo: { ...base, fileId: "0".repeat(64) } }, by("ann"))
      assert.strictEqual(both.status, 400)
      const many = Array.from({ length: 101 }, () => ({ type: "image", ...base }))
      const refused = yield* Effect.flatMap(post(`${url}/agents/repeat`, { message: many }, by("ann")), text)
      assert.include(refused, "message.100: Expected at most 100 files")
    }).pipe(Effect.scoped))

  it.live("bodies that are no upload, too large or cut are refused with their own status", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk(mountedWith({ bodyLimit: 2_000 }, "rest"))
      const status = (path: string, body: string | FormData, type?: string) =>
        Effect.promise(async () => {
          const headers = { ...by("ann"), ...(type === undefined ? {} : { "content-type": type }) }
          const response = await fetch(`${url}${path}`, { method: "POST", body, headers })
          const problem = Schema.decodeUnknownSync(Problem)(await response.json())
          return [response.status, problem.title]
        })
      const big = formOf({ file: new File([new Uint8Array(3_000)], "a.bin") })
      assert.deepStrictEqual(yield* status("/files", big), [413, "BodyTooLarge"])
      assert.deepStrictEqual(yield* status("/agents/look", big), [413, "BodyTooLarge"])
      assert.deepStrictEqual(yield* status("/files", "x", "image/png"), [415, "UnsupportedMediaType"])
      assert.deepStrictEqual(yield* status("/files", "--b\r\nno form", "multipart/form-data; boundary=b"), [
        400,
        "BadBody"
      ])
      assert.deepStrictEqual(yield* status("/files", "x", "multipart/form-data"), [400, "BadBody"])
      assert.deepStrictEqual(yield* status("/files", formOf({ file: "text" })), [400, "BadBody"])
      assert.deepStrictEqual(yield* status("/files", formOf({ a: photo(), b: photo() })), [400, "BadBody"])
      assert.deepStrictEqual(
        yield* status("/files", JSON.stringify({ bytes: "?", mediaType: "a/b" }), "application/json"),
        [400, "BadBody"]
      )
      assert.deepStrictEqual(
        yield* status("/files", JSON.stringify({ bytes: "", mediaType: "a/b\r\nx: y" }), "application/json"),
        [400, "BadBody"]
      )
      // A client that disconnects in the middle of its upload leaves the server as it was.
      yield* Effect.promise(() =>
        new Promise<void>((resolve) => {
          const socket = connect(Number(new URL(url).port), "127.0.0.1", () => {
            socket.write(
              `POST /files HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: key-of-ann\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 1000\r\n\r\n--b\r\n`
            )
            setTimeout(() => {
              socket.destroy()
              resolve()
            }, 50)
          })
        })
      )
      assert.strictEqual((yield* upload(url)).size, png.length)
    }).pipe(Effect.scoped))

  it.live("the OpenAPI document says where a form, a file and its bytes are taken and given", () =>
    Effect.gen(function*() {
      const url = yield* start
      const document = JSON.parse(yield* text(yield* get(`${url}/openapi.json`)))
      const { errors, valid } = yield* Effect.promise(() => new Validator().validate(structuredClone(document)))
      assert.isTrue(valid, JSON.stringify(errors))
      const look = document.paths["/agents/look"].post.requestBody.content
      assert.deepStrictEqual(Object.keys(look).sort(), ["application/json", "multipart/form-data"])
      const form = look["multipart/form-data"].schema
      assert.deepInclude(form.properties.photo, { type: "string", format: "binary" })
      assert.deepStrictEqual(form.required, ["photo"])
      assert.deepInclude(form.properties.times, { type: "integer" })
      assert.deepStrictEqual(Object.keys(document.paths["/agents/repeat"].post.requestBody.content), [
        "application/json"
      ])
      const files = document.paths["/files"].post.requestBody.content
      assert.deepStrictEqual(Object.keys(files).sort(), ["application/json", "multipart/form-data"])
      const download = document.paths["/files/{fileId}"].get.responses["200"].content
      assert.deepStrictEqual(Object.values(download), [{ schema: { type: "string", format: "binary" } }])
    }).pipe(Effect.scoped))

  it.live("content in a payload is stored like a file, and a follower reads the same events again", () =>
    Effect.gen(function*() {
      const url = yield* start
      const message = [Content.text("look"), Content.image({ bytes: png }, "image/png", { name: "a.png" })]
      const answer = yield* post(`${url}/agents/repeat`, { message }, by("ann"))
      const repeated = yield* output(answer)
      const { fileId = "", ...image } = imageOf(repeated)
      assert.deepStrictEqual(image, { type: "image", mediaType: "image/png", name: "a.png", size: png.length })
      assert.deepStrictEqual(yield* bytesOf(yield* get(`${url}/files/${fileId}`, by("ann"))), png)
    }).pipe(Effect.scoped))
})

const eventsIn = ({ frames }: Socket.TestSocket, id: string) =>
  frames.flatMap((frame) => frame.type === "event" && frame.id === id ? [Object(frame["event"])] : [])

describe("Files over the WebSocket", () => {
  it.live("bytes and an uploaded file fill the payload of a frame, and come back as content by reference", () =>
    Effect.gen(function*() {
      const url = yield* start
      const socket = yield* Socket.connect(url, by("ann"))
      socket.send({
        id: "bytes",
        op: "start",
        agent: "look",
        payload: { photo: { mediaType: "image/png", bytes: base64 } }
      })
      socket.send({ id: "stored", op: "start", agent: "look", payload: { photo: yield* upload(url) } })
      for (const id of ["bytes", "stored"]) {
        assert.strictEqual((yield* socket.frame("end", id))["state"], "completed")
        const events = eventsIn(socket, id)
        const said = events.find(({ type }) => type === "content")
        const shown = imageOf(Schema.decodeUnknownSync(Content.List)(said.data.content))
        const done = events.find(({ type }) => type === "done")
        const answer = Schema.decodeUnknownSync(Content.List)(done.data.output)
        assert.deepStrictEqual(imageOf(answer), shown)
        const file = yield* get(`${url}/files/${shown.fileId}`, by("ann"))
        assert.deepStrictEqual(yield* bytesOf(file), png.toReversed())
      }
      assert.notInclude(JSON.stringify(socket.frames), base64)
    }).pipe(Effect.scoped))

  it.live("a file of another owner, of another type or too large is refused by its frame, and the connection stays", () =>
    Effect.gen(function*() {
      const url = yield* start
      const stored = yield* upload(url)
      const socket = yield* Socket.connect(url, by("ben"))
      const refused = Effect.fnUntraced(function*(id: string, photo: Schema.Json) {
        socket.send({ id, op: "start", agent: "look", payload: { photo } })
        return Object((yield* socket.frame("error", id))["problem"])
      })
      const foreign = yield* refused("foreign", stored)
      assert.deepStrictEqual([foreign.title, foreign.error.issues], ["InvalidPayload", [
        { path: ["photo", "fileId"], message: `There is no file "${stored.fileId}"` }
      ]])
      const wrong = yield* refused("type", { mediaType: "text/plain", bytes: btoa("text") })
      assert.deepStrictEqual([wrong.title, wrong.error.issues[0].path], ["InvalidPayload", ["photo"]])
      const large = yield* refused("large", { mediaType: "image/png", bytes: btoa("x".repeat(1_001)) })
      assert.deepStrictEqual([large.title, large.error.issues[0].path], ["InvalidPayload", ["photo"]])
      socket.send({ id: "ping", op: "ping" })
      yield* socket.frame("pong", "ping")
    }).pipe(Effect.scoped))
})
