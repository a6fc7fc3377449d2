import { PushStore } from "../../src/store/PushStore.ts"
import { suite } from "../../src/testing/contract/PushStoreContract.ts"

suite("PushStore.layerMemory", PushStore.layerMemory)
