// A question of a run as a person sees it in a terminal, and the line of the person as its answer: session.ts and inbox.ts ask.
import type { Interrupt } from "@fastagentic/core"
import type { Client } from "@fastagentic/protocols/http"
import { Console, Effect, Option, Schema } from "effect"
import * as Output from "../output.ts"
import * as Server from "./server.ts"

const typeOf = ({ responseSchema }: Interrupt.Interrupt) =>
  typeof responseSchema === "object" && responseSchema !== null && "type" in responseSchema
    ? responseSchema["type"]
    : undefined

/** A page to open, and no value to give. */
const isConsent = (one: Interrupt.Interrupt) => one.url !== undefined && typeOf(one) === "null"

export const textOf = (one: Interrupt.Interrupt) => {
  const call = one.tool === undefined ? [] : [`${one.tool} ${JSON.stringify(one.arguments ?? {})}`]
  const page = one.url === undefined ? [] : [one.url]
  const how = one.kind === "approval"
    ? "y, n, or other arguments as JSON"
    : typeOf(one) === "boolean" || isConsent(one)
    ? "y or n"
    : typeOf(one) === "string"
    ? "text"
    : "JSON"
  const risk = one.risk === undefined ? [] : [`risk: ${one.risk}`]
  return `${[one.message ?? one.name, ...page, ...call, ...risk].join(", ")} (${how})`
}

const parse = Schema.decodeOption(Schema.fromJsonString(Schema.Json))
const isYes = (line: string) => /^y(es)?$/iu.test(line)
const isNo = (line: string) => /^no?$/iu.test(line)

export const answerOf = (one: Interrupt.Interrupt, line: string): Interrupt.Answer | undefined => {
  if (one.kind === "approval") {
    if (isYes(line)) return { decision: "approve" }
    if (isNo(line)) return { decision: "deny" }
    return Option.getOrUndefined(Option.map(parse(line), (value) => ({ decision: "edit", value })))
  }
  if (isConsent(one) && isYes(line)) return { decision: "approve" }
  if (isConsent(one) && isNo(line)) return { decision: "deny" }
  if (typeOf(one) === "boolean" && isYes(line)) return { decision: "approve", value: true }
  if (typeOf(one) === "boolean" && isNo(line)) return { decision: "approve", value: false }
  if (typeOf(one) === "string") return { decision: "approve", value: line }
  return Option.getOrUndefined(Option.map(parse(line), (value) => ({ decision: "approve", value })))
}

/** Whether the question is closed: an answer that does not fit is asked for again. */
export const isTaken = <A>(server: Server.Server, answering: Effect.Effect<A, Client.ClientError>) =>
  answering.pipe(
    Effect.as(true),
    Effect.catch((error) => {
      const refused = Server.problemOf(server, error)
      if (error.reason._tag === "InvalidPayload") return Effect.as(Console.error(Output.safe(refused.message)), false)
      return error.reason._tag === "InterruptResolved" ? Effect.succeed(true) : Effect.fail(refused)
    })
  )
