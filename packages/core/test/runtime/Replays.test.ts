import { RunStore } from "@fastagentic/core"
import { replaySuite } from "../contract/BranchesContract.ts"

replaySuite("in memory", RunStore.RunStore.layerMemory)
