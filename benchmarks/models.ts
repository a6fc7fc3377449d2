/**
 * CPU of a stream of 20 tokens: the compatible package alone, and behind the bridge to effect/ai, in turns. Then the time
 * of the first call of a fresh process. ROUNDS and STREAMS set the counts.
 */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { Effect, Layer, ManagedRuntime, Stream } from "effect"
import { LanguageModel } from "effect/ai"
import { Models } from "fastagentic/models"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { loadavg } from "node:os"
import { fileURLToPath } from "node:url"

const rounds = Number(process.env["ROUNDS"] ?? 12)
const streams = Number(process.env["STREAMS"] ?? 150)
const [, , role, given] = process.argv

const alone = (url: string) => {
  const model = createOpenAICompatible({ name: "openai", baseURL: `${url}/v1`, includeUsage: true }).chatModel("m")
  return async () => {
    let tokens = 0
    const { stream } = await model.doStream({ prompt: [{ role: "user", content: [{ type: "text", text: "Hi" }] }] })
    for await (const part of stream) if (part.type === "text-delta") tokens++
    return tokens
  }
}

const bridged = (url: string) => {
  const runtime = ManagedRuntime.make(Layer.orDie(Models.layer("m", { baseUrl: url })))
  const ask = Stream.runFold(
    LanguageModel.streamText({ prompt: "Hi" }),
    () => 0,
    (tokens, part) => part.type === "text-delta" ? tokens + 1 : tokens
  ).pipe(Effect.orDie)
  return { start: () => runtime.context(), ask: () => runtime.runPromise(ask) }
}

/** Milliseconds of CPU of one stream. */
const measure = async (ask: () => Promise<number>): Promise<number> => {
  const before = process.cpuUsage()
  for (let number = 0; number < streams; number++) {
    const tokens = await ask()
    if (tokens !== 20) throw new Error(`${tokens} tokens arrived`)
  }
  const { system, user } = process.cpuUsage(before)
  return (system + user) / 1000 / streams
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0

const compare = async (url: string) => {
  const [first, { ask: second }] = [alone(url), bridged(url)]
  const times = { alone: Array<number>(), bridged: Array<number>() }
  for (let round = 0; round < rounds; round++) {
    const [one, other] = [await measure(first), await measure(second)]
    if (round < 2) continue
    times.alone.push(one)
    times.bridged.push(other)
  }
  const [package_, bridge] = [median(times.alone), median(times.bridged)]
  console.log(
    `a stream of 20 tokens: ${package_.toFixed(2)} ms CPU alone, ${bridge.toFixed(2)} ms behind the bridge: ` +
      `${(bridge / package_).toFixed(2)} times, load ${loadavg()[0]?.toFixed(1)}`
  )
}

if (role === "alone" || role === "bridged") {
  const spent = (since: NodeJS.CpuUsage) => {
    const { system, user } = process.cpuUsage(since)
    return ((system + user) / 1000).toFixed(0)
  }
  const before = process.cpuUsage()
  const { ask, start } = role === "alone" ? { ask: alone(given ?? ""), start: async () => {} } : bridged(given ?? "")
  await start()
  const started = process.cpuUsage()
  const atStart = spent(before)
  await ask()
  console.log(`${atStart} ${spent(started)}`)
  process.exit()
}

const server = spawn(process.execPath, [fileURLToPath(new URL("servers/model.ts", import.meta.url))], {
  stdio: ["ignore", "pipe", "inherit"]
})
try {
  const [port] = await once(server.stdout, "data")
  const url = `http://127.0.0.1:${String(port).trim()}`
  await compare(url)
  for (const way of ["alone", "bridged"]) {
    const once_ = () => execFileSync(process.execPath, [fileURLToPath(import.meta.url), way, url], { encoding: "utf8" })
    const figures = Array.from({ length: 5 }, () => once_().trim().split(" ").map(Number))
    const [start, call] = [0, 1].map((index) => median(figures.map((one) => one[index] ?? 0)))
    console.log(`a fresh process, ${way}: ${start} ms CPU for the start of the model, ${call} ms for its first call`)
  }
} finally {
  server.kill()
}
process.exit()
