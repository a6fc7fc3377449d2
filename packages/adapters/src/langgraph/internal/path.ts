// The run as a task of a graph sees it: the events of what it does have the path of the task, also those of steps and scopes
// inside. appParts.ts makes the calls of the app in it; callbacks add the path to all other events.
import type { Event } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect } from "effect"

type Service = CurrentRun["Service"]

export const along = (place: Service, path: ReadonlyArray<string>): Service => {
  if (path.length === 0) return place
  const named = (event: Event.Event): Event.Event => ({ ...event, path })
  const inside = Effect.updateService(CurrentRun, (inner) => along(inner, path))
  const emit: Service["emit"] = (event) => place.emit(named(event))
  const step: Service["step"] = (name, work, after) =>
    place.step(
      name,
      // cast: a step gives its work the place that is changed here.
      inside(work) as typeof work,
      after === undefined ? undefined : (value) => after(value).map(named)
    )
  // cast: as above.
  const scope: Service["scope"] = (name, work, implied) => place.scope(name, inside(work) as typeof work, implied)
  const seen: Service = Object.create(place, { emit: { value: emit }, step: { value: step }, scope: { value: scope } })
  return seen
}
