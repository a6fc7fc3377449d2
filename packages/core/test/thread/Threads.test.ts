import { RunStore } from "@fastagentic/core"
import { threadsSuite } from "../contract/ThreadsContract.ts"

threadsSuite("in memory", RunStore.RunStore.layerMemory)
