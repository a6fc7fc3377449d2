import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import { Agent, App, Event, Run } from "fastagentic"
import { execFile, execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { rolldown } from "rolldown"
import { installIn } from "./installation.ts"
import { heyApi, openapiFetch } from "./openapi/consumers.ts"
import { command } from "./process.ts"
import { onSqlite } from "./serving.ts"

const installed = installIn("openapi-clients", fileURLToPath(new URL("openapi/", import.meta.url)))
if ("reason" in installed && process.env["FASTAGENTIC_REQUIRE_SERVICES"] === "1") throw new Error(installed.reason)
if ("reason" in installed) console.warn(`The trials of OpenAPI's clients are skipped: ${installed.reason}.`)
const folder = "folder" in installed ? installed.folder : ""

class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { orderId: Schema.Int }, {
  httpApiStatus: 404
}) {}

class Support extends Agent.make("support", {
  description: "Answers questions",
  payload: { question: Schema.NonEmptyString },
  success: Schema.Struct({ answer: Schema.String }),
  error: OrderNotFound
}) {}

const SupportLayer = Support.toLayer(Effect.fn(function*({ question }) {
  if (question === "7") return yield* new OrderNotFound({ orderId: 7 })
  yield* Stream.runForEach(Stream.make("on ", "its ", "way"), (word) => Run.emit(Event.token(word)))
  return { answer: "on its way" }
}))

const Shop = App.make("shop", { version: "1.0.0", agents: [Support] })

/** The answers of the server that every program receives. */
const expected = {
  answer: "on its way",
  refused: [400, "InvalidPayload"],
  lost: [404, "OrderNotFound"],
  wrong: 400,
  events: ["run_started", "token", "token", "token", "done"],
  agent: "support"
}

const tsconfig = {
  compilerOptions: {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: "esnext",
    moduleResolution: "bundler",
    target: "es2023",
    lib: ["es2023", "dom", "dom.iterable"],
    types: []
  },
  files: ["globals.d.ts", "own.ts", "generated.ts", "heyApi.ts"]
}

const tool = (name: string, ...args: ReadonlyArray<string>) =>
  execFileSync(process.execPath, [join(folder, "node_modules", name), ...args], { cwd: folder, encoding: "utf8" })

/** A module as one file, because generated clients import without extensions. */
const bundled = async (name: string): Promise<string> => {
  const build = await rolldown({ input: join(folder, `${name}.ts`), platform: "node", logLevel: "silent" })
  const file = join(folder, `${name}.bundle.mjs`)
  await build.write({ file, format: "esm" })
  await build.close()
  return file
}

const write = (name: string, text: string) => writeFileSync(join(folder, `${name}.ts`), text)

describe.skipIf(folder === "")("Clients made from the OpenAPI document alone", () => {
  it.live(
    "compile, call a server, and get answers, refusals, declared errors and streams",
    () =>
      Effect.gen(function*() {
        const store = mkdtempSync(join(tmpdir(), "openapi-"))
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(store, { recursive: true, force: true })))
        const { url } = yield* onSqlite(Shop, SupportLayer, join(store, "shop.db"))
        yield* Effect.promise(async () => {
          const exported = await command(["export", "types", "--url", url])
          assert.deepStrictEqual([exported.code, exported.stderr], [0, ""])
          write("own.types", exported.stdout)
          writeFileSync(join(folder, "openapi.json"), await (await fetch(`${url}/openapi.json`)).text())
          tool("openapi-typescript/bin/cli.js", "openapi.json", "-o", "generated.types.ts")
          rmSync(join(folder, "hey"), { recursive: true, force: true })
          mkdirSync(join(folder, "hey"))
          tool("@hey-api/openapi-ts/bin/run.js", "-i", "openapi.json", "-o", "hey", "-c", "@hey-api/client-fetch")
          write("own", openapiFetch("./own.types"))
          write("generated", openapiFetch("./generated.types"))
          write("heyApi", heyApi)
          write("globals.d", "declare const process: { readonly argv: ReadonlyArray<string> }")
          writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(tsconfig))
          tool("typescript/bin/tsc", "-p", ".")
          for (const name of ["own", "generated", "heyApi"]) {
            const { stdout } = await promisify(execFile)(process.execPath, [await bundled(name), url])
            assert.deepStrictEqual(JSON.parse(stdout), expected, name)
          }
        })
      }),
    120_000
  )
})
