/**
 * `fastagentic audit`: verification, redaction and retention of the audit log in a store.
 *
 * @since 0.1.0
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import { Audit, AuditLog, AuditRetention, AuditSigner, AuditVerify, Caller, RunStore } from "@fastagentic/core"
import { Console, Effect, FileSystem, Layer, Option, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type { Aead } from "effect/crypto/Aead"
import type { Digest } from "effect/crypto/Digest"
import type { Signature } from "effect/crypto/Signature"
import * as DurationFlag from "./DurationFlag.ts"
import * as Output from "./internal/output.ts"
import * as StoreFlags from "./internal/storeFlags.ts"
import * as Store from "./Store.ts"

/** The verification failed; the printed lines say where. @category errors @since 0.1.0 */
export class TrailBroken extends Schema.TaggedError<TrailBroken>()("TrailBroken", {
  tenants: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the audit log is not whole: ${this.tenants.join(", ")}`
  }
}

/** No fault was found, and no signature proves that there is none. @category errors @since 0.1.0 */
export class TrailUnproven extends Schema.TaggedError<TrailUnproven>()("TrailUnproven", {
  tenants: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the audit log cannot be proven: ${this.tenants.join(", ")}`
  }
}

/** The store has no audit log to verify. @category errors @since 0.1.0 */
export class NoTrail extends Schema.TaggedError<NoTrail>()("NoTrail", { store: Schema.String }) {
  override get message() {
    return `${this.store} has no audit log`
  }
}

/** The file does not contain the output of `audit heads`. @category errors @since 0.1.0 */
export class BadAnchors extends Schema.TaggedError<BadAnchors>()("BadAnchors", { file: Schema.String }) {
  override get message() {
    return `--anchors ${this.file}: not lines that \`fastagentic audit heads\` has printed`
  }
}

const Anchor = Schema.Struct({ tenant: Schema.String, ...AuditLog.Head.fields })
type Anchor = typeof Anchor.Type
const decodeAnchor = Schema.decodeUnknownEffect(Schema.fromJsonString(Anchor))

const store = StoreFlags.flag("store")
const signer = Flag.String("signer").pipe(
  Flag.withSchema(Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u))),
  Flag.withDescription(
    "A public key that heads may be signed with, besides that of FASTAGENTIC_AUDIT_KEY; several times"
  ),
  Flag.atLeast(0)
)
const anchors = Flag.String("anchors").pipe(
  Flag.withDescription("A file with what `audit heads` printed earlier: the log has to agree with it"),
  Flag.optional
)
const tenant = Flag.String("tenant").pipe(Flag.withDescription("Default \"default\""), Flag.withDefault("default"))

const signing = Layer.provide(AuditSigner.layerConfig, NodeCrypto.layer)

const within = <A, E, R, E2>(layer: Layer.Layer<R, E2>, effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(effect, context)))

type Services =
  | Audit.Audit
  | AuditLog.AuditLog
  | RunStore.RunStore
  | AuditSigner.AuditSigner
  | Aead
  | Digest
  | Signature

/** Opens the store of a command that reads the audit log. */
const inStore = <A, E>(value: string, use: (shown: string) => Effect.Effect<A, E, Services>) =>
  Effect.flatMap(
    Store.existing(value),
    ({ layer, shown }) => within(Layer.mergeAll(signing, layer, NodeCrypto.layer), use(shown))
  )

const anchorsIn = Effect.fnUntraced(function*(file: Option.Option<string>) {
  if (Option.isNone(file)) return []
  const { readFileString } = yield* FileSystem.FileSystem
  const bad = () => new BadAnchors({ file: file.value })
  const lines = (yield* Effect.mapError(readFileString(file.value), bad)).split("\n")
  return yield* Effect.mapError(
    Effect.forEach(lines.filter((line) => line.trim() !== ""), (line) => decodeAnchor(line)),
    bad
  )
})

const show = (json: boolean) =>
  Effect.fnUntraced(function*(found: AuditVerify.Verdict) {
    const { findings, from, signedTo, tenant, to, unproven, waiting = 0 } = found
    if (json) return yield* Output.print(json, found, String)
    const entries = to < from ? "no entries" : `entries ${from} to ${to}`
    const signed = signedTo === 0 ? "nothing signed" : `signed up to ${signedTo}`
    const verdict = findings.length > 0 ? "BROKEN" : unproven === undefined ? "whole" : `CANNOT BE PROVEN (${unproven})`
    const waits = waiting === 0 ? "" : `, ${waiting} not entered yet`
    yield* Console.log(`${tenant}: ${verdict}, ${entries}, ${signed}${waits}`)
    for (const { detail, kind } of findings) yield* Console.log(`${tenant}: ${kind}: ${detail}`)
  })

const unsignedWithin = Flag.String("unsigned-within").pipe(
  Flag.withDescription(
    "Accept entries that no signature covers yet when they are younger, such as \"2 minutes\"; default none"
  ),
  Flag.optional
)
const maxAge = Flag.String("max-age").pipe(
  Flag.withDescription("How old the newest signature may be, such as \"2 hours\"; a running server signs each hour"),
  Flag.optional
)

const durationOf = (flag: string, value: Option.Option<string>) =>
  Option.isNone(value) ? Effect.succeed(undefined) : DurationFlag.parse(flag, value.value)

const verify = Command.make(
  "verify",
  { anchors, json: Output.json, maxAge, signer, store, unsignedWithin },
  Effect.fnUntraced(function*({ anchors, json, maxAge, signer, store, unsignedWithin }) {
    const kept: ReadonlyArray<Anchor> = yield* anchorsIn(anchors)
    const youngest = yield* durationOf("unsigned-within", unsignedWithin)
    const oldest = yield* durationOf("max-age", maxAge)
    yield* inStore(
      store,
      Effect.fnUntraced(function*(shown) {
        const { publicKey } = yield* AuditSigner.AuditSigner
        const verdicts = yield* AuditVerify.verifyAll({
          signers: [...signer, ...publicKey === "" ? [] : [publicKey]],
          anchors: kept,
          maxAge: oldest,
          outbox: yield* RunStore.RunStore,
          ...(youngest === undefined ? {} : { unsignedWithin: youngest })
        })
        if (verdicts.length === 0) return yield* new NoTrail({ store: shown })
        yield* Effect.forEach(verdicts, show(json), { discard: true })
        const broken = verdicts.filter(({ findings }) => findings.length > 0).map(({ tenant }) => tenant)
        if (broken.length > 0) return yield* new TrailBroken({ tenants: broken })
        const unproven = verdicts.filter((verdict) => verdict.unproven !== undefined).map(({ tenant }) => tenant)
        if (unproven.length > 0) return yield* new TrailUnproven({ tenants: unproven })
      })
    )
  })
).pipe(
  Command.withDescription(
    "Prove that no entry was changed, moved, dropped or added; exit code 1 when one was, and when nothing proves it"
  )
)

const heads = Command.make(
  "heads",
  // It prints JSON in any case; the flag is there for scripts that give it to every command.
  { store, json: Output.json },
  ({ store }) =>
    inStore(
      store,
      Effect.fnUntraced(function*() {
        const log = yield* AuditLog.AuditLog
        for (const tenant of yield* log.tenants) {
          const last = (yield* log.heads(tenant)).findLast(({ kind }) => kind === "head")
          if (last !== undefined) yield* Console.log(JSON.stringify({ tenant, ...last } satisfies Anchor))
        }
      })
    )
).pipe(
  Command.withDescription("Print the last signed head of each tenant, to be kept elsewhere for `verify --anchors`")
)

const redact = Command.make(
  "redact",
  {
    principal: Argument.String("principal").pipe(Argument.withDescription("Whom to forget")),
    store,
    tenant,
    json: Output.json
  },
  ({ json, principal, store, tenant }) =>
    inStore(
      store,
      Effect.fnUntraced(function*() {
        const { redact } = yield* Audit.Audit
        const keys = yield* redact({ tenant, principal, by: "cli", traceId: Caller.make("local").traceId })
        yield* Output.print(json, { tenant, principal, keys }, () =>
          keys === 0
            ? `${principal} is in no entry of ${tenant}`
            : `${principal} is unreadable in ${tenant} from now on`)
      })
    )
).pipe(Command.withDescription("Destroy the keys of a principal: its entries stay, who it was does not"))

const cut = Command.make(
  "cut",
  {
    olderThan: Flag.String("older-than").pipe(Flag.withDescription("Such as \"365 days\"")),
    store,
    json: Output.json
  },
  Effect.fnUntraced(function*({ json, olderThan, store }) {
    const keptTime = yield* DurationFlag.parse("older-than", olderThan)
    yield* inStore(
      store,
      Effect.fnUntraced(function*() {
        for (const { place, tenant } of yield* AuditRetention.cutAll(keptTime)) {
          yield* Output.print(
            json,
            { tenant, goneTo: place.seq },
            ({ goneTo }) => `${tenant}: entries up to ${goneTo} are gone`
          )
        }
      })
    )
  })
).pipe(Command.withDescription("Remove old entries; what is left can still be proved"))

const key = Command.make(
  "key",
  { json: Output.json },
  ({ json }) =>
    within(
      signing,
      AuditSigner.AuditSigner.use(({ publicKey }) =>
        publicKey === ""
          ? Console.error("FASTAGENTIC_AUDIT_KEY is not set")
          : Output.print(json, { publicKey }, ({ publicKey }) => publicKey)
      )
    )
).pipe(Command.withDescription("Print the public key of FASTAGENTIC_AUDIT_KEY, for `verify --signer`"))

/** @category commands @since 0.1.0 */
export const command = Command.make("audit").pipe(
  Command.withDescription("The audit log of a store. A SQLite file belongs to one process: stop the server first"),
  Command.withSubcommands([verify, heads, redact, cut, key])
)
