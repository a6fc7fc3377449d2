// Amounts of money as whole micro-dollars; budgets and prices use it, so sums are exact.
/** Amounts are whole micro-dollars, rounded up: nothing is ever counted as less than it costs. */
export const toMicros = (usd: number): number => Math.ceil(Number((usd * 1e6).toFixed(6)))

export const toUsd = (micros: number): number => micros / 1e6
