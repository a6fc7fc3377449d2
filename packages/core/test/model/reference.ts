/** The expected outcome of a program of the model agent, computed without a runtime. */

/** `step:N` takes N milliseconds, `sleep:N` pauses, `branch:N` does both side by side, `race:N` races a step with a sleep, `ask` waits for an answer, `asks` for two at a time, `offer:N` for one that a sleep withdraws, `receive` takes a message, `child:a+b` has another run do it. */
export type Program = ReadonlyArray<string>

export const parse = (op: string) => {
  const colon = op.indexOf(":")
  return colon < 0 ? [op, ""] as const : [op.slice(0, colon), op.slice(colon + 1)] as const
}

/** A random source with a seed: the same numbers every time. */
export const randomOf = (seed: number) => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    chance: (part: number) => next() < part,
    below: (limit: number) => Math.floor(next() * limit),
    pick: <A>(all: ReadonlyArray<A>): A | undefined => all[Math.floor(next() * all.length)]
  }
}

export type Random = ReturnType<typeof randomOf>

export const programOf = (random: Random, depth = 1): Program =>
  Array.from({ length: 1 + random.below(depth === 1 ? 5 : 2) }, () => {
    const kind = random.below(13)
    if (kind < 4) return `step:${random.below(3) * 400}`
    if (kind === 4) return "emit"
    if (kind === 5) return `sleep:${500 + random.below(4_000)}`
    if (kind < 8) return "ask"
    if (kind === 8 && depth > 0) return `child:${programOf(random, depth - 1).join("+")}`
    if (kind === 10) return "asks"
    if (kind === 11) return `offer:${300 + random.below(3_000)}`
    if (kind === 12) return "receive"
    if (random.chance(0.3)) return "fail"
    const millis = random.below(3) * 250
    return random.chance(0.5) ? `branch:${millis}` : `race:${millis}`
  })

/** The answer to each question by its name, and what each receive took, in their order. */
export interface Given {
  readonly answers: ReadonlyMap<string, string>
  readonly messages: ReadonlyArray<string>
  readonly children: ReadonlyArray<string>
}

/** The results that a program may come to with what it was given; none when it must not complete. */
export const resultsOf = (
  program: Program,
  { answers, children, messages }: Given
): ReadonlyArray<string> | undefined => {
  let results = [""]
  const either = (...more: ReadonlyArray<string>) => {
    results = results.flatMap((result) => more.map((one) => result === "" ? one : `${result},${one}`))
  }
  let [asked, started, received] = [0, 0, 0]
  for (const [index, op] of program.entries()) {
    const [kind] = parse(op)
    if (kind === "fail") return undefined
    if (kind === "step" || kind === "race") either(`s${index}`)
    if (kind === "branch") either(`a${index}/work+b${index}/work`)
    if (kind === "ask") either(answers.get(++asked === 1 ? "ask" : `ask#${asked}`) ?? "?")
    if (kind === "asks") either(`${answers.get(`l${index}/side`)}+${answers.get(`r${index}/side`)}`)
    if (kind === "offer") either(`late${index}`, ...[answers.get(`offer ${index}`)].filter((one) => one !== undefined))
    if (kind === "receive") either(messages[received++] ?? "?")
    if (kind === "child") either(children[started++] ?? "?")
  }
  return results
}

/** The events emitted outside of steps, in order. */
export const tokensOf = (program: Program) => program.flatMap((op, index) => op === "emit" ? [`e${index}`] : [])
