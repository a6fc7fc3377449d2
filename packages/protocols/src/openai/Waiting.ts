// An answer as a whole, for requests that do not stream.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { RunError, ShuttingDown } from "@fastagentic/core/run/RunError"
import { Effect, Stream } from "effect"
import type { ChatPart } from "../chat/ChatPart.ts"
import * as ChatRuns from "../chat/ChatRuns.ts"
import { decidableIn } from "../chat/ChatStream.ts"

/** Waits until the run has ended or waits for somebody, and gives a writer the parts of the answer as they stand then. */
export const whole = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  { after, handle, pages }: ChatRuns.Answering,
  write: (parts: ReadonlyArray<ChatPart>, decidable: ReadonlySet<string>) => unknown
): Effect.fn.Return<void, RunError> {
  yield* Stream.runForEach(pages, (page) => page === "closing" ? Effect.fail(new ShuttingDown()) : Effect.void).pipe(
    Effect.mapError((reason) => new RunError({ reason }))
  )
  const run = yield* handle.current
  const parts = yield* ChatRuns.stands(runtime, { run, events: handle.events }, after)
  write(parts, yield* decidableIn(runtime, caller, run.runId, parts))
})
