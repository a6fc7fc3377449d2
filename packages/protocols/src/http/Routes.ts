// The one list of REST routes: HttpProtocol serves it and Document describes it.
import * as AgentRoutes from "./AgentRoutes.ts"
import * as AuditRoutes from "./AuditRoutes.ts"
import * as CatalogRoutes from "./CatalogRoutes.ts"
import * as FileRoutes from "./FileRoutes.ts"
import * as InterruptRoutes from "./InterruptRoutes.ts"
import * as PrincipalRoutes from "./PrincipalRoutes.ts"
import * as PushRoutes from "./PushRoutes.ts"
import type { Route } from "./Route.ts"
import * as RunRoutes from "./RunRoutes.ts"
import * as ScheduleRoutes from "./ScheduleRoutes.ts"
import * as SystemRoutes from "./SystemRoutes.ts"
import * as ThreadRoutes from "./ThreadRoutes.ts"
import * as UsageRoutes from "./UsageRoutes.ts"

/** Lists come before what they list, so they have their names in the document. */
export const all: ReadonlyArray<Route> = [
  ...CatalogRoutes.routes,
  ...AgentRoutes.routes,
  ...RunRoutes.routes,
  ...FileRoutes.routes,
  ...InterruptRoutes.routes,
  ...ThreadRoutes.routes,
  ...ScheduleRoutes.routes,
  ...AuditRoutes.routes,
  ...PrincipalRoutes.routes,
  ...PushRoutes.routes,
  ...UsageRoutes.routes,
  ...SystemRoutes.routes
]
