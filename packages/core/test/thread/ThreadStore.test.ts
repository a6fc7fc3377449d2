import { RunStore } from "@fastagentic/core"
import { suite } from "../../src/testing/contract/ThreadStoreContract.ts"

suite("RunStore.layerMemory", RunStore.RunStore.layerMemory)
