/** The harness asks a server process for runs that take no HTTP: one after the other, timed in the process. */

/** Answers each request for `count` runs of `steps` steps with their milliseconds. */
export const answerInside = (run: (steps: number) => Promise<unknown>) => {
  process.on("message", async (message) => {
    const { count, steps } = Object(message)
    const millis: Array<number> = []
    for (let i = 0; i < count; i++) {
      const startedAt = performance.now()
      await run(steps)
      millis.push(performance.now() - startedAt)
    }
    process.send?.(millis)
  })
  // An ordinary end, with the profile that may be asked for.
  process.on("SIGTERM", () => process.exit())
  process.send?.("ready")
}
