import { BudgetStore } from "@fastagentic/core/budget/BudgetStore"
import { suite } from "../contract/BudgetStoreContract.ts"

suite("BudgetStore.layerMemory", BudgetStore.layerMemory)
