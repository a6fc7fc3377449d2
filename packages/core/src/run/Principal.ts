/**
 * The caller's identity, on which every policy decision is based.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

/**
 * An authenticated caller.
 *
 * `scopes` may contain `"*"`, which holds every scope.
 *
 * @category models
 * @since 0.1.0
 */
export class Principal extends Schema.Class<Principal>("@fastagentic/core/run/Principal")({
  id: Schema.String,
  tenant: Schema.String,
  scopes: Schema.Array(Schema.String),
  roles: Schema.Array(Schema.String),
  claims: Schema.Record(Schema.String, Schema.Json)
}) {}

/**
 * The caller of a server without an auth layer: one local user who may do everything.
 *
 * @category constants
 * @since 0.1.0
 */
export const local: Principal = new Principal({ id: "local", tenant: "local", scopes: ["*"], roles: [], claims: {} })
