// The services that the layers of a whole store provide; Sqlite, Postgres, Redis and ClusterStores name them in their types.
import type { Audit } from "@fastagentic/core/audit/Audit"
import type { AuditLog } from "@fastagentic/core/audit/AuditLog"
import type { BudgetStore } from "@fastagentic/core/budget/BudgetStore"
import type { ApiKeyStore } from "@fastagentic/core/door/ApiKeys"
import type { RateCounters } from "@fastagentic/core/door/RateCounters"
import type { ScheduleStore } from "@fastagentic/core/runtime/ScheduleStore"
import type { BlobStore } from "@fastagentic/core/store/BlobStore"
import type { PushStore } from "@fastagentic/core/store/PushStore"
import type { RunStore } from "@fastagentic/core/store/RunStore"
import type { SharedNotes } from "@fastagentic/core/store/SharedNotes"

/** The services that a file provides. @category models @since 0.1.0 */
export type Stores =
  | RunStore
  | Audit
  | AuditLog
  | ApiKeyStore
  | BudgetStore
  | RateCounters
  | PushStore
  | ScheduleStore
  | SharedNotes

/** The services that a server provides, which keeps files itself. @category models @since 0.1.0 */
export type ServerStores = Stores | BlobStore
