// Opens connections to allowed addresses only; the egress client sends every request through it.
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type * as Undici from "@effect/platform-node/Undici"
import { Effect, type Scope } from "effect"
import type { LookupAddress } from "node:dns"
import { isIP, type LookupFunction } from "node:net"
import { EgressRefused } from "../EgressRefused.ts"

interface Rules {
  readonly isAllowed: (address: string) => boolean
  readonly resolve: (hostname: string) => Promise<ReadonlyArray<LookupAddress>>
  readonly millis: number
  readonly bytes: number
}

/**
 * Connects to allowed addresses only. A name is resolved once per connection, every address of the answer has to be
 * allowed, and the connection uses that answer, so a later change of the name has no effect.
 */
export const makeDispatcher = (rules: Rules): Effect.Effect<Undici.Dispatcher, never, Scope.Scope> =>
  Effect.map(
    NodeHttpClient.makeDispatcherOptions({
      connect: { lookup: lookupOf(rules), timeout: rules.millis },
      maxResponseSize: rules.bytes
    }),
    (agent) =>
      agent.compose((dispatch) => (options, handler) => {
        const origin = String(options.origin)
        const refusal = refusalOf(origin, rules)
        if (refusal !== undefined) throw refusal
        return dispatch(options, new Deadline(handler, origin, rules.millis))
      })
  )

/** A URL with a literal address is never looked up. The URL parser has normalised every notation of an address. */
const refusalOf = (origin: string, { isAllowed }: Rules): EgressRefused | undefined => {
  if (!/^https?:\/\//u.test(origin) || !URL.canParse(origin)) {
    return new EgressRefused({ origin, rule: "scheme", problem: "is not http or https" })
  }
  const address = new URL(origin).hostname.replace(/^\[(.*)\]$/u, "$1")
  return isIP(address) === 0 || isAllowed(address) ? undefined : notPublic(origin)
}

const notPublic = (origin: string) =>
  new EgressRefused({ origin, rule: "address", problem: "is not on the public network" })

const lookupOf = ({ isAllowed, resolve }: Rules): LookupFunction => (hostname, options, callback) => {
  const refuse = (error: Error) => callback(error, "", 0)
  resolve(hostname).then((answers) => {
    const [first] = answers
    if (first === undefined || !answers.every(({ address }) => isAllowed(address))) return refuse(notPublic(hostname))
    const wanted = answers.filter(({ family }) =>
      options.family === undefined || [0, family].includes(Number(options.family))
    )
    if (options.all === true) callback(null, [...wanted])
    else callback(null, first.address, first.family)
  }, refuse)
}

/** Ends an exchange at its time limit, even while data arrives. */
class Deadline implements Undici.Dispatcher.DispatchHandler {
  private readonly handler: Undici.Dispatcher.DispatchHandler
  private readonly origin: string
  private readonly millis: number
  private timer: NodeJS.Timeout | undefined

  constructor(handler: Undici.Dispatcher.DispatchHandler, origin: string, millis: number) {
    this.handler = handler
    this.origin = origin
    this.millis = millis
  }

  onRequestStart(controller: Undici.Dispatcher.DispatchController, context: unknown) {
    clearTimeout(this.timer)
    this.timer = setTimeout(
      () => controller.abort(new EgressRefused({ origin: this.origin, rule: "time", problem: "takes too long" })),
      this.millis
    )
    this.handler.onRequestStart?.(controller, context)
  }

  onResponseStart(...args: Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onResponseStart"]>>) {
    this.handler.onResponseStart?.(...args)
  }

  onResponseData(...args: Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onResponseData"]>>) {
    this.handler.onResponseData?.(...args)
  }

  onResponseEnd(...args: Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onResponseEnd"]>>) {
    clearTimeout(this.timer)
    this.handler.onResponseEnd?.(...args)
  }

  onResponseError(...args: Parameters<NonNullable<Undici.Dispatcher.DispatchHandler["onResponseError"]>>) {
    clearTimeout(this.timer)
    this.handler.onResponseError?.(...args)
  }
}
