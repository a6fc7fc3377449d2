// Changes of resources, on whatever node, for the clients of this one: `subscriptions/listen` of 2026-07-28 through the SDK,
// and the streams that clients of 2025 open with GET.
import * as Resource from "@fastagentic/core/app/Resource"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Stream } from "effect"

type Listener = (event: Sdk.ServerEvent) => void

/** Listeners of one node, however many principals they have. */
export const listenerLimit = 10_000

/** The bus that the SDK listens to. */
export class Changes implements Sdk.ServerEventBus {
  private readonly listeners = new Set<Listener>()

  publish(event: Sdk.ServerEvent): void {
    for (const listener of this.listeners) listener(event)
  }

  /** Whether this node has as many listeners as it takes; a client without a stream reads again by itself. */
  get isFull(): boolean {
    return this.listeners.size >= listenerLimit
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** Publishes the changes of resources; one of a template changes the list as well. */
  follow({ fusion, notes }: Runtime["Service"]): Effect.Effect<void> {
    return Stream.runForEach(notes.changes, (uri) =>
      Effect.sync(() => {
        this.publish({ kind: "resource_updated", uri })
        if (isOfTemplate(fusion, uri)) this.publish({ kind: "resources_list_changed" })
      }))
  }
}

export const isOfTemplate = ({ resources }: Runtime["Service"]["fusion"], uri: string): boolean =>
  [...resources.values()].some(({ resource: { uriTemplate } }) =>
    Resource.paramNames(uriTemplate).length > 0 && Resource.matchUri(uriTemplate, uri) !== undefined
  )
