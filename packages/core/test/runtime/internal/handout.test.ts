// Tests what a handout does not hold against a handler that leaves it out.
import { assert, describe, it } from "@effect/vitest"
import { mayBeLeft } from "../../../src/runtime/internal/handout.ts"

describe("what a replay may leave", () => {
  it("a part that an adapter chose need not be entered again, whatever is recorded inside of it", () => {
    for (const key of ["~node 1 one/model", "outer/~node 1/tool a", "step › ~node 1/pay#2", "~node 1/x/plan"]) {
      assert.isTrue(mayBeLeft(key), key)
    }
  })

  it("a step of the handler has to be asked for again, whatever its name is", () => {
    for (const key of ["plan", "~node 1", "a~b/plan", "outer/plan", "langgraph 1"]) assert.isFalse(mayBeLeft(key), key)
  })
})
