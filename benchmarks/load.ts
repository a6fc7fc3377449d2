/** Requests over keep-alive connections, a fixed number at a time. */
import { Agent, request } from "node:http"

export interface Load {
  readonly path: string
  /** The body of every request, or what makes that of each. */
  readonly body: unknown
  /** The text that every answer must contain; a benchmark of wrong answers measures nothing. */
  readonly expect: string
  readonly headers?: Record<string, string>
}

const once = (agent: Agent, url: string, load: Load): Promise<void> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify(typeof load.body === "function" ? load.body() : load.body)
    const outgoing = request(`${url}${load.path}`, {
      agent,
      method: "POST",
      headers: { ...load.headers, "content-type": "application/json", "content-length": Buffer.byteLength(body) }
    }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => text += chunk)
      response.on("error", reject)
      response.on("end", () =>
        response.statusCode === 200 && text.includes(load.expect)
          ? resolve()
          : reject(new Error(`${response.statusCode} ${text.slice(0, 200)}`)))
    })
    outgoing.on("error", reject)
    outgoing.end(body)
  })

/** Sends `count` requests, `concurrency` at a time; returns the seconds, and gives each request's milliseconds to `onEach`. */
export const send = (
  url: string,
  load: Load,
  count: number,
  concurrency: number,
  onEach: (millis: number) => void = () => {}
): Promise<number> => {
  let left = count
  return sendWhile(url, load, () => left-- > 0, concurrency, onEach)
}

/** The same for as long as `more` says so. */
export const sendWhile = async (
  url: string,
  load: Load,
  more: () => boolean,
  concurrency: number,
  onEach: (millis: number) => void
): Promise<number> => {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency })
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (more()) {
      const sentAt = performance.now()
      await once(agent, url, load)
      onEach(performance.now() - sentAt)
    }
  }))
  agent.destroy()
  return (performance.now() - startedAt) / 1_000
}
