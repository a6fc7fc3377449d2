// The OpenAPI 3.1 document of an app, made from the list of routes through `effect/http-api`.
import type { Fusion } from "@fastagentic/core/app/Fusion"
import type { Scheme } from "@fastagentic/core/door/Auth"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import { openApiCleanup } from "./internal/openApiCleanup.ts"
import type { Entry, Route } from "./Route.ts"

/** Gives each name out once: names of agents may contain dots, and so may equal one that is made here. */
const makeUnique = () => {
  const taken = new Set<string>()
  return (name: string) => {
    let free = name
    for (let count = 2; taken.has(free); count++) free = `${name}_${count}`
    taken.add(free)
    return free
  }
}

/** The entries of each group, in the order of the routes; those of one subject side by side. */
const groupsOf = (fusion: Fusion, routes: ReadonlyArray<Route>) => {
  const groups = new Map<string, Map<string, ReadonlyArray<Entry>>>()
  for (const { entriesOf, group } of routes) {
    const subjects = groups.get(group) ?? new Map<string, ReadonlyArray<Entry>>()
    groups.set(group, subjects)
    for (const entry of entriesOf(fusion)) {
      subjects.set(entry.subject, [...subjects.get(entry.subject) ?? [], entry])
    }
  }
  return groups
}

const groupOf = (name: string, subjects: ReadonlyMap<string, ReadonlyArray<Entry>>) => {
  const unique = makeUnique()
  const [first, ...others] = [...subjects.values()].flat().map((entry) => entry.describe(unique(entry.name)))
  return first === undefined ? [] : [HttpApiGroup.make(name).add(first, ...others)]
}

/** The API of an app with these routes, and the credentials that the server accepts. */
export const apiOf = (fusion: Fusion, schemes: ReadonlyArray<Scheme>, routes: ReadonlyArray<Route>) => {
  const [first = HttpApiGroup.make("system"), ...others]: ReadonlyArray<HttpApiGroup.Constraint> = [
    ...groupsOf(fusion, routes)
  ].flatMap(([name, subjects]) => groupOf(name, subjects))
  return HttpApi.make(fusion.app.identifier).add(first, ...others).annotateMerge(OpenApi.annotations({
    title: fusion.app.title,
    version: fusion.app.version,
    description: fusion.app.description === "" ? fusion.app.title : fusion.app.description,
    transform: openApiCleanup(schemes)
  }))
}
