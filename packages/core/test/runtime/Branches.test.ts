import { RunStore } from "@fastagentic/core"
import { branchesSuite, replaySuite } from "../contract/BranchesContract.ts"

replaySuite("in memory", RunStore.RunStore.layerMemory)
branchesSuite("in memory", RunStore.RunStore.layerMemory)
