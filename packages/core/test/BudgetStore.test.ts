import { BudgetStore } from "@fastagentic/core/BudgetStore"
import { suite } from "./contract/BudgetStoreContract.ts"

suite("BudgetStore.layerMemory", BudgetStore.layerMemory)
