/**
 * The look of a declaration in the lists of its clients: a title, icons, hints and metadata of the app's own.
 *
 * @since 0.1.0
 */
import { Context, type Schema } from "effect"
import type { Annotations } from "../run/Content.ts"

/** An image at an `https:` or `data:` address. @category models @since 0.1.0 */
export interface Icon {
  readonly src: string
  readonly mimeType?: string
  /** Such as `48x48`, or `any`. */
  readonly sizes?: ReadonlyArray<string>
  readonly theme?: "light" | "dark"
}

/** The behaviour of an agent, as a hint for clients that ask before they call. @category models @since 0.1.0 */
export interface Hints {
  readonly readonly?: boolean
  readonly destructive?: boolean
  readonly idempotent?: boolean
  readonly openWorld?: boolean
}

/**
 * The interface of MCP Apps. A tool or an agent names the resource that shows its results, and who may call it; the resource,
 * a page at a `ui://` address, names the servers that the page may reach, and what it asks of its host.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ui {
  readonly resourceUri?: `ui://${string}`
  /** Both unless said. A tool that only its interface calls is no tool for a model. */
  readonly visibility?: ReadonlyArray<"model" | "app">
  readonly csp?: {
    readonly connectDomains?: ReadonlyArray<string>
    readonly resourceDomains?: ReadonlyArray<string>
    readonly frameDomains?: ReadonlyArray<string>
    readonly baseUriDomains?: ReadonlyArray<string>
  }
  readonly permissions?: { readonly [Permission in "camera" | "microphone" | "geolocation" | "clipboardWrite"]?: {} }
  readonly domain?: string
  readonly prefersBorder?: boolean
}

/**
 * Every part is optional. `hints` are an agent's, because a tool has annotations for them; `annotations` are a resource's.
 * `tags` are an agent's, for the search of clients. An agent that is `direct` answers with a message alone where a protocol has
 * tasks (A2A).
 *
 * @category models
 * @since 0.1.0
 */
export interface Presentation {
  readonly title?: string
  readonly icons?: ReadonlyArray<Icon>
  readonly meta?: { readonly [key: string]: Schema.Json }
  readonly hints?: Hints
  readonly tags?: ReadonlyArray<string>
  readonly annotations?: Annotations
  readonly direct?: boolean
  readonly ui?: Ui
}

/**
 * The look of a tool: `Tool.make(…).annotate(Presentation.OfTool, { icons: [{ src: "https://example.com/tool.png" }] })`.
 *
 * @category annotations
 * @since 0.1.0
 */
export const OfTool = Context.Reference<Presentation>("@fastagentic/core/app/Presentation/OfTool", {
  defaultValue: () => ({})
})
