// Cleanup that runs when the benchmark ends for any reason, in reverse order.
const undo: Array<() => void> = []

export const atEnd = (one: () => void) => void undo.push(one)

process.once("exit", () => {
  for (const one of undo.reverse()) one()
})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))
