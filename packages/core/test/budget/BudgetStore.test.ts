import { BudgetStore } from "@fastagentic/core/budget/BudgetStore"
import { suite } from "@fastagentic/core/testing/contract/BudgetStoreContract"

suite("BudgetStore.layerMemory", BudgetStore.layerMemory)
