import { RunStore } from "@fastagentic/core/store/RunStore"
import { suite } from "../contract/RunStoreContract.ts"

suite("RunStore.layerMemory", RunStore.layerMemory)
