import { Audit, AuditLog } from "@fastagentic/core"
import { Effect, Layer } from "effect"
import * as AuditContract from "./contract/AuditContract.ts"
import * as AuditLogContract from "./contract/AuditLogContract.ts"

AuditContract.suite("Audit.layerMemory", Audit.layerMemory)

AuditLogContract.suite(
  "AuditLog.layerMemory",
  Effect.map(Layer.build(Layer.fresh(AuditLog.AuditLog.layerMemory)), Layer.succeedContext)
)
