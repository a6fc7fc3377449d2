import { RunStore } from "@fastagentic/core"
import { changedSuite } from "../contract/ChangedContract.ts"

changedSuite("in memory", RunStore.RunStore.layerMemory)
