import { ScheduleStore } from "@fastagentic/core"
import { suite } from "../contract/ScheduleStoreContract.ts"

suite("memory", ScheduleStore.ScheduleStore.layerMemory)
