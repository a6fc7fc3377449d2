import { RunStore } from "@fastagentic/core"
import { compensateSuite } from "../contract/CompensateContract.ts"

compensateSuite("in memory", RunStore.RunStore.layerMemory)
