/**
 * The abilities of an adapter with its framework, as data: callers see them, and the server does not start when an app asks for
 * more.
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
  /** `barrier`: the framework waits for our commit and stops when it fails. A durable agent needs that. */
  readonly commit: "barrier" | "best-effort" | "none"
  /** Whether the framework can pause for a decision and resume after a restart. */
  readonly interrupts: boolean
  /** `cooperative`: running code has to check the signal; `abort`: the framework stops waiting for it. */
  readonly cancel: "cooperative" | "abort" | "kill"
  readonly hooks: { readonly llm: Reach; readonly tool: Reach; readonly node: Reach }
  /** How the framework gets tools of the runtime. */
  readonly toolInjection: "factory" | "call" | "none"
  /** Whether calls of models report the tokens that they used. */
  readonly usage: boolean
  /** Whether each call of a model asks for its budget first. */
  readonly budget: boolean
  /** `waits`: the producer waits for the journal; `bounded`: a fixed number of events is in flight. */
  readonly backpressure: "waits" | "bounded" | "none"
}

/** An adapter by its name, with its abilities and the way to get more of them. @category models @since 0.1.0 */
export interface Adapter {
  readonly name: string
  readonly capabilities: AdapterCapabilities
  /** The form of the adapter that can do more, for the message of a server that does not start. */
  readonly remedy?: string
}
