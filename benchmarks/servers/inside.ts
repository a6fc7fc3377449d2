/** Runs without HTTP: the harness asks a server process for them, one after the other, timed in the process. */

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
  // A normal exit writes the profile that `CPU_PROF` requests.
  process.on("SIGTERM", () => process.exit())
  process.send?.("ready")
}
