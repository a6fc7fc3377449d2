import { RunStore } from "@fastagentic/core/store/RunStore"
import { suite } from "@fastagentic/core/testing/contract/RunStoreContract"

suite("RunStore.layerMemory", RunStore.layerMemory)
