export * as GenaiPrices from "./GenaiPrices.ts"
