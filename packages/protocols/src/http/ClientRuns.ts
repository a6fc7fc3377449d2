// A client's calls about runs, by their ids.
import type { Answer } from "@fastagentic/core/run/Interrupt"
import { Effect, type Schema, Struct } from "effect"
import type { Runs } from "./Client.ts"
import * as ClientJournal from "./ClientJournal.ts"
import * as Transport from "./ClientTransport.ts"
import * as Schemas from "./Schemas.ts"

const RunPage = Schemas.pageOf(Schemas.RunSummary)
const CheckpointPage = Schemas.pageOf(Schemas.Checkpoint)
const InterruptPage = Schemas.pageOf(Schemas.Interrupt)
const PendingPage = Schemas.pageOf(Schemas.InterruptSummary)

export const make = (transport: Transport.Transport): Runs => {
  const get = <S extends Parameters<typeof Transport.readOk>[1]>(
    path: string,
    schema: S,
    query: Record<string, string | undefined> = {}
  ) => Effect.flatMap(transport.send({ method: "GET", path, query }), (answered) => Transport.readOk(answered, schema))

  const post = (
    path: string,
    body: Schema.Json | Answer | ReadonlyArray<Answer & { readonly id: string }>,
    headers: Transport.Request["headers"] = {}
  ) =>
    Effect.flatMap(
      transport.send({ method: "POST", path, body, headers }),
      (answered) => Transport.readOk(answered, Schemas.Run)
    )

  return {
    get: (runId) => get(pathOf(runId), Schemas.Run),
    list: (filter = {}) => get("/runs", RunPage, queryOf(filter)),
    events: (runId, { after = 0 } = {}) =>
      ClientJournal.events({ transport, source: { runId }, after, until: "final" }),
    cancel: (runId, reason) => post(`${pathOf(runId)}/cancel`, reason === undefined ? {} : { reason }),
    resume: (runId) => post(`${pathOf(runId)}/resume`, {}),
    checkpoints: (runId) => Effect.map(get(`${pathOf(runId)}/checkpoints`, CheckpointPage), Struct.get("items")),
    fork: (runId, { after, idempotencyKey = globalThis.crypto.randomUUID() } = {}) =>
      Effect.retry(
        post(`${pathOf(runId)}/fork`, after === undefined ? {} : { after }, { "idempotency-key": idempotencyKey }),
        transport.again
      ),
    retry: (runId) => Effect.retry(post(`${pathOf(runId)}/retry`, {}), transport.again),
    interrupts: (runId) => Effect.map(get(`${pathOf(runId)}/interrupts`, InterruptPage), Struct.get("items")),
    pending: (page = {}) => get("/interrupts", PendingPage, queryOf(page)),
    answer: (runId, interruptId, answer) =>
      post(`${pathOf(runId)}/interrupts/${encodeURIComponent(interruptId)}`, answer),
    answerAll: (runId, answers) => post(`${pathOf(runId)}/interrupts`, answers),
    signal: (runId, name, payload, { idempotencyKey = globalThis.crypto.randomUUID() } = {}) =>
      Effect.retry(
        post(`${pathOf(runId)}/signals/${encodeURIComponent(name)}`, payload, { "idempotency-key": idempotencyKey }),
        transport.again
      )
  }
}

const pathOf = (runId: string) => `/runs/${encodeURIComponent(runId)}`

const queryOf = <Query extends { readonly limit?: number; readonly fields?: ReadonlyArray<string> }>(
  { fields, limit, ...filter }: Query
) => ({
  ...filter,
  ...(limit === undefined ? {} : { limit: String(limit) }),
  ...(fields === undefined || fields.length === 0 ? {} : { fields: fields.join() })
})
