// Delivers push notifications: takes the targets that are due, follows the run of each, and posts its updates in their order.
// A delivery is kept before it is tried, so that a repeat has the same bodies and ids on any node; it is tried until it is
// answered with 2xx, later each time, and after the last try its target is dead. A2aProtocol runs it where a PushSender is.
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import type { RunEvent } from "@fastagentic/core/run/Event"
import { isFinal } from "@fastagentic/core/run/RunRecord"
import type { PushTarget } from "@fastagentic/core/store/PushStore"
import { Clock, Effect, Option, Stream } from "effect"
import * as Hex from "effect/encoding/Hex"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { PublicAddress, urlOf } from "../internal/publicAddress.ts"
import { refusalIn } from "./A2aClientError.ts"
import * as A2aPush from "./A2aPush.ts"
import type { TaskView } from "./A2aTask.ts"
import type { Tasks } from "./A2aTasks.ts"
import * as A2aV03 from "./A2aV03.ts"
import { type CardSigner, jwks } from "./CardSigner.ts"
import type { PushSender } from "./PushSender.ts"

/** How often targets that are due are looked for. */
const pollPause = "500 millis"
/** How long a node has a target at first; the time doubles while the run does nothing. */
const firstLease = 30_000
const longestLease = 300_000
/** How many targets one node works on. */
const most = 1_000
/** How long an address has to answer. */
const answerLimit = "15 seconds"
/** How long a dead target is kept for who looks for it. */
const deadFor = 7 * 86_400_000
/** A stream that ended before its run is opened again after this time, here or on another node. */
const againAfter = 1_000
/** A target whose owner may not act is looked at again after this time. */
const heldFor = 60_000

export const make = (
  { push }: Pick<Runtime["Service"], "push">,
  { load }: Pick<Tasks, "load">,
  sender: PushSender["Service"],
  signer: CardSigner["Service"] | undefined
) => {
  const deliver = Effect.fnUntraced(function*(taken: PushTarget) {
    const opened = yield* push.open(taken, "a2a")
    const kept = Option.getOrUndefined(A2aPush.decodeKept(taken.config))
    if (opened._tag === "Gone" || kept === undefined || taken.dead !== undefined) return yield* push.drop(taken)
    if (opened._tag === "Held") return yield* move(taken, { dueAt: (yield* push.now) + heldFor })
    const { handle } = opened
    const address = { origin: kept.origin, path: kept.path }
    const view = yield* Effect.provideService(load(handle, handle.run, taken.cursor), PublicAddress, address)
    yield* follow({ target: taken, kept, handle, view, lease: firstLease, since: yield* push.now })
  })

  const follow = Effect.fnUntraced(function*(delivery: Delivery) {
    const { handle, target, view } = delivery
    const { cursor, upTo = cursor } = target
    const mine = upTo > cursor
      ? yield* post(delivery, view.apply(yield* eventsOf(handle, cursor, upTo), handle.run.state), true)
      : true
    if (!mine) return
    const pages = yield* handle.follow({ after: view.seq, until: "final" })
    yield* pages.pipe(
      Stream.takeWhileEffect(({ events, run }) =>
        events.length === 0 ? renew(delivery) : post(delivery, view.apply(events, run.state), false)
      ),
      Stream.runDrain,
      Effect.ignore
    )
    if (delivery.lost) return
    const run = yield* handle.current
    if (isFinal(run.state) && view.seq >= run.seq) return yield* push.drop(delivery.target)
    yield* move(delivery.target, { dueAt: (yield* push.now) + againAfter })
  })

  /** Whether the target is still this node's. */
  const moved = Effect.fnUntraced(function*(delivery: Delivery, changes: Partial<PushTarget>) {
    const next = yield* push.move(delivery.target, changes)
    if (next === undefined) delivery.lost = true
    else delivery.target = next
    return next !== undefined
  })

  const move = (target: PushTarget, changes: Partial<PushTarget>) => Effect.asVoid(push.move(target, changes))

  /** A run that does nothing is looked after for longer. */
  const renew = Effect.fnUntraced(function*(delivery: Delivery) {
    const now = yield* push.now
    if (now - delivery.since < delivery.lease / 2) return true
    delivery.lease = Math.min(delivery.lease * 2, longestLease)
    delivery.since = now
    return yield* moved(delivery, { dueAt: now + delivery.lease })
  })

  /** Posts updates, which are the next delivery; whether the next ones may follow. */
  const post = Effect.fnUntraced(function*(
    delivery: Delivery,
    updates: ReturnType<TaskView["apply"]>,
    isRepeat: boolean
  ) {
    if (updates.length === 0) return true
    const { view } = delivery
    const now = yield* push.now
    Object.assign(delivery, { lease: firstLease, since: now })
    const upTo = view.seq
    if (!isRepeat && !(yield* moved(delivery, { upTo, dueAt: now + firstLease }))) return false
    const { problem, sent } = yield* send(delivery, updates, `${delivery.target.cursor}-${upTo}`)
    if (problem === undefined) return yield* moved(delivery, { cursor: upTo, upTo, sent: 0, attempts: 0 })
    const attempts = (sent > delivery.target.sent ? 0 : delivery.target.attempts) + 1
    const isDead = attempts >= sender.attempts
    yield* Effect.annotateLogs(
      Effect.logWarning(isDead ? "A push notification was given up" : "A push notification will be tried again"),
      { runId: delivery.target.runId, target: delivery.target.id, attempts, problem }
    )
    const later = yield* push.now
    yield* moved(
      delivery,
      isDead
        ? { sent, attempts, dead: problem, dueAt: later + deadFor }
        : { sent, attempts, dueAt: later + pauseOf(attempts, sender.firstPauseMillis) }
    )
    delivery.lost = true
    return false
  })

  const send = Effect.fnUntraced(function*(
    delivery: Delivery,
    updates: ReturnType<TaskView["apply"]>,
    range: string
  ) {
    const { kept, target, view } = delivery
    const about = A2aPush.aboutOf(target)
    const opened = (sealed: string | undefined) =>
      sealed === undefined ? Effect.succeed("") : sender.secrets.open(sealed, about)
    const [token, credentials] = yield* Effect.all([opened(kept.token), opened(kept.credentials)])
    const { sent } = target
    if (token === undefined || credentials === undefined) {
      return { sent, problem: "no secret of this server opens its credentials" }
    }
    const isV03 = kept.version === "0.3"
    const bodies = isV03 ? [A2aV03.taskOf(view.task())] : updates
    for (const [index, body] of bodies.entries()) {
      if (index < sent) continue
      if (!(yield* renew(delivery))) return { sent: index, problem: "another node has taken it" }
      const text = JSON.stringify(body)
      const deliveryId = `${target.runId}.${target.id}.${range}.${index}`
      const signature = signer === undefined ? undefined : yield* signed(signer, kept, target.runId, deliveryId, text)
      const request = HttpClientRequest.post(kept.url, {
        headers: {
          "a2a-version": kept.version,
          "x-a2a-delivery-id": deliveryId,
          ...(signature === undefined ? {} : { "x-a2a-notification-signature": signature }),
          ...(token === "" ? {} : { "x-a2a-notification-token": token }),
          ...(kept.scheme === undefined ? {} : { authorization: `${kept.scheme} ${credentials}`.trim() })
        }
      }).pipe(HttpClientRequest.bodyText(text, isV03 ? "application/json" : "application/a2a+json"))
      const problem = yield* sender.client.execute(request).pipe(
        Effect.timeout(answerLimit),
        Effect.tap((response) => Effect.ignore(response.arrayBuffer)),
        Effect.map(({ status }) => status >= 200 && status < 300 ? undefined : `status ${status}`),
        Effect.catch((error) => problemOf(target, error)),
        Effect.catchCause(() => Effect.succeed("no answer"))
      )
      if (problem !== undefined) return { sent: index, problem }
    }
    return { sent: bodies.length, problem: undefined }
  })

  /** An address that egress refuses is audited; one that takes too long may be reached. */
  const problemOf = (target: PushTarget, error: unknown) => {
    const refusal = refusalIn(error)
    if (refusal === undefined) return Effect.succeed("no answer")
    return Effect.as(refusal.rule === "time" ? Effect.void : push.refused(target, "a2a", refusal), refusal.reason)
  }

  /** Never ends. Deliveries stop with the scope, and their targets are taken by others when their lease is over. */
  return Effect.gen(function*() {
    let active = 0
    const one = (target: PushTarget) =>
      deliver(target).pipe(
        Effect.catchCause((cause) => Effect.logWarning("A push target will be looked at again", cause)),
        Effect.ensuring(Effect.sync(() => active--))
      )
    while (true) {
      const taken = active >= most
        ? []
        : yield* Effect.orElseSucceed(push.take({ lease: firstLease, limit: Math.min(50, most - active) }), () => [])
      for (const target of taken) {
        active++
        yield* Effect.forkScoped(one(target))
      }
      if (taken.length === 0) yield* Effect.sleep(pollPause)
    }
  })
}

/** A token that says who has sent this body to whom, and when; a receiver of it knows the keys of the cards of this app. */
const signed = Effect.fnUntraced(function*(
  signer: CardSigner["Service"],
  { origin, path, url }: A2aPush.Kept,
  taskId: string,
  jti: string,
  body: string
) {
  const iss = urlOf({ origin, path })
  const iat = Math.floor((yield* Clock.currentTimeMillis) / 1_000)
  const hash = yield* Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(body)))
  const claims = {
    iss,
    aud: url,
    iat,
    exp: iat + 300,
    jti,
    taskId,
    request_body_sha256: Hex.encode(new Uint8Array(hash))
  }
  return yield* signer.token(claims, `${iss}${jwks}`)
})

/** A target that this node works on. */
interface Delivery {
  target: PushTarget
  readonly kept: A2aPush.Kept
  readonly handle: RunHandle
  readonly view: TaskView
  lease: number
  /** When the lease was renewed. */
  since: number
  /** The target is not this node's any more. */
  lost?: boolean
}

/** The events of a delivery that was tried before. */
const eventsOf = Effect.fnUntraced(function*({ events }: RunHandle, after: number, upTo: number) {
  const found: Array<RunEvent> = []
  for (let cursor = after; cursor < upTo; cursor = found.at(-1)?.seq ?? upTo) {
    const page = yield* events({ after: cursor, limit: upTo - cursor })
    if (page.length === 0) break
    found.push(...page)
  }
  return found.filter(({ seq }) => seq <= upTo)
})

/** Twice as long each time, up to an hour, and a random half of it. */
const pauseOf = (attempts: number, first: number) => {
  const whole = Math.min(first * 2 ** (attempts - 1), 3_600_000)
  return Math.ceil(whole / 2 + Math.random() * whole / 2)
}
