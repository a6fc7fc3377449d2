// Gives a name to calls that have none, which the package would drop or end the answer for. stream.ts passes each chunk
// through: a call is held back until its name arrives, or until the answer ends. The model learns that no tool has the name.
import type { Call, Mended } from "./chunk.ts"

/** The name of a call whose model gave none; no tool has it. */
const unnamed = "call_without_a_name"

const keysOf = ({ id, index }: Call): ReadonlyArray<string> => [
  ...(index === undefined ? [] : [`index ${index}`]),
  ...(id === undefined ? [] : [`id ${id}`])
]

const joined = (call: Call, { function: { arguments: more, name }, id }: Call): Call => ({
  ...call,
  id: call.id ?? id,
  function: { name, arguments: call.function.arguments + more }
})

export class Unnamed {
  /** The keys of the calls that have a name. */
  private readonly named = new Set<string>()
  private readonly held = new Map<string, Call>()
  private readonly finished: Array<Call> = []
  /** The key of the call whose pieces have neither index nor id. */
  private last = ""

  /** A chunk whose calls have names, or belong to one that has; the last chunk brings those that never got one. */
  mend(mended: Mended): Mended {
    const { message, reason } = mended
    const isLast = reason !== undefined && this.last !== ""
    if (message?.tool_calls === undefined && !isLast) return mended
    const taken = message?.tool_calls?.flatMap((call) => this.take(call)) ?? []
    const calls = reason === undefined ? taken : [...taken, ...this.end()]
    return { ...mended, message: { ...message, role: "assistant", tool_calls: calls.length === 0 ? undefined : calls } }
  }

  /** The calls that never got a name. One that says nothing at all is none. */
  end(): ReadonlyArray<Call> {
    const calls = [...this.finished.splice(0), ...this.held.values()]
    this.held.clear()
    return calls.filter(({ function: called, id }) => id !== undefined || called.arguments !== "").map(withName)
  }

  private take(call: Call): ReadonlyArray<Call> {
    const keys = keysOf(call)
    const isNamed = call.function.name !== undefined
    const [key = this.last] = keys
    const held = this.held.get(key)
    if (held === undefined) {
      if (!isNamed && (keys.length === 0 ? this.named.size > 0 : keys.some((one) => this.named.has(one)))) return [call]
      return isNamed ? this.begin(call) : this.hold(key, call)
    }
    if (held.id !== undefined && call.id !== undefined && held.id !== call.id) {
      this.held.delete(key)
      this.finished.push(held)
      return this.take(call)
    }
    const whole = joined(held, call)
    if (!isNamed) return this.hold(key, whole)
    this.held.delete(key)
    return this.begin(whole)
  }

  private begin(call: Call): ReadonlyArray<Call> {
    for (const key of keysOf(call)) this.named.add(key)
    return [call]
  }

  private hold(key: string, call: Call): ReadonlyArray<Call> {
    this.last = key === "" ? "first" : key
    this.held.set(this.last, call)
    return []
  }
}

/** A call of a whole answer, with a name. */
export const withName = (call: Call): Call => ({
  ...call,
  function: { ...call.function, name: call.function.name ?? unnamed }
})
