// Contract of a `RunStore`. A test file of the implementation calls `suite` once. The store may be shared with other
// suites: every test has run ids and tenants of its own.
import { describe } from "@effect/vitest"
import type { Layer } from "effect"
import type { RunStore } from "../../store/RunStore.ts"
import { admittingSuite } from "./internal/runStore/admitting.ts"
import { dueSuite } from "./internal/runStore/due.ts"
import { factsSuite } from "./internal/runStore/facts.ts"
import { fieldsSuite } from "./internal/runStore/fields.ts"
import { identitySuite } from "./internal/runStore/identity.ts"
import { interruptsSuite } from "./internal/runStore/interrupts.ts"
import { journalSuite } from "./internal/runStore/journal.ts"
import { limitsSuite } from "./internal/runStore/limits.ts"
import { lineageSuite } from "./internal/runStore/lineage.ts"
import { listsSuite } from "./internal/runStore/lists.ts"
import { removingSuite } from "./internal/runStore/removing.ts"

export { makeRun } from "./internal/runStore/samples.ts"

/**
 * Declares the tests that every run store passes, in a store that earlier suites may have used.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = (name: string, store: Layer.Layer<RunStore, unknown>) =>
  describe(name, () => {
    admittingSuite(store)
    interruptsSuite(store)
    journalSuite(store)
    listsSuite(store)
    dueSuite(store)
    limitsSuite(store)
    lineageSuite(store)
    removingSuite(store)
    factsSuite(store)
    identitySuite(store)
    fieldsSuite(store)
  })
