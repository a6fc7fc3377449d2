import { ScheduleStore } from "@fastagentic/core"
import { suite } from "@fastagentic/core/testing/contract/ScheduleStoreContract"

suite("memory", ScheduleStore.ScheduleStore.layerMemory)
