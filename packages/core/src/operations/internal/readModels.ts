// The requests that become no run (usage, resources, prompts, files) and the answers to them. Runtime.ts exports them.
import type { Schema } from "effect"
import type * as Resource from "../../app/Resource.ts"
import type { LimitUsage } from "../../budget/Budget.ts"
import type { Query as UsageQuery, Row as UsageRow } from "../../budget/BudgetStore.ts"
import type { CurrentClient } from "../../run/ClientRequest.ts"
import type * as Files from "../../store/Files.ts"

/** A request for usage and its grouping; the tenant's usage needs the scope `usage:tenant`. @category models @since 0.1.0 */
export interface UsageRequest extends Omit<UsageQuery, "tenant" | "user"> {
  readonly of: "me" | "tenant"
}

/** Usage and its cost, in dollars. @category models @since 0.1.0 */
export interface UsageReport {
  readonly items: ReadonlyArray<Omit<UsageRow, "cost"> & { readonly costUsd: number }>
  readonly totalUsd: number
  readonly budgets: ReadonlyArray<LimitUsage>
}

/** The content of a resource, encoded. @category models @since 0.1.0 */
export interface Content {
  readonly uri: string
  readonly mimeType: string
  readonly content: Schema.Json
}

/** One resource of a template, with its URI. @category models @since 0.1.0 */
export interface Instance extends Omit<Resource.Instance<never>, "params"> {
  readonly uri: string
  readonly resource: string
}

/** The text that a user has typed for a parameter, and the parameters that are known. @category models @since 0.1.0 */
export interface CompletionRequest {
  readonly kind: "prompt" | "resource"
  readonly identifier: string
  readonly argument: string
  readonly value: string
  readonly known: { readonly [name: string]: string }
}

/** The way to ask a client, see `ClientRequest`. @category models @since 0.1.0 */
export type Asked = typeof CurrentClient["Service"]

/** A stored file with its bytes. @category models @since 0.1.0 */
export interface FileContent extends Files.Stored {
  readonly bytes: Uint8Array
}
