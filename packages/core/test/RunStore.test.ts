import { RunStore } from "@fastagentic/core/RunStore"
import { suite } from "./contract/RunStoreContract.ts"

suite("RunStore.layerMemory", RunStore.layerMemory)
