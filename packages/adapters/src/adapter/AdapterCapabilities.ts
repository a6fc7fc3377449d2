/**
 * The abilities of an adapter, as data for its documentation. `HookBracket` refuses what the framework cannot enforce.
 *
 * @since 0.1.0
 */

/** How far a hook reaches: observe the call, refuse it, or change it and its result. @category models @since 0.1.0 */
export type Reach = "none" | "observe" | "block" | "modify"

/**
 * The abilities of an adapter.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdapterCapabilities {
  /** Whether answers arrive token by token. */
  readonly tokens: boolean
  /** The unit between `node_enter` and `node_exit`. */
  readonly boundary: "node" | "step" | "turn" | "task" | "none"
  /** Whether the framework waits for our commit, and stops when it fails. */
  readonly commit: "barrier" | "best-effort" | "none"
  /** Whether the framework can pause for a decision and go on after a restart. */
  readonly interrupts: boolean
  /** `cooperative`: running code has to check the signal; `abort`: the framework stops waiting for it. */
  readonly cancel: "cooperative" | "abort" | "kill"
  readonly hooks: { readonly llm: Reach; readonly tool: Reach; readonly node: Reach }
  /** How the framework gets tools of the runtime. */
  readonly toolInjection: "factory" | "call" | "none"
  /** `waits`: the producer waits for the journal; `bounded`: a fixed number of events is in flight. */
  readonly backpressure: "waits" | "bounded" | "none"
}
