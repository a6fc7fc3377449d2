// The comparison that the command line of a benchmark asks for: `--against REV`, with `--rounds` and `--only`. Without a revision
// it measures the working tree alone.
import { parseArgs } from "node:util"

export interface Asked {
  readonly revision: string
  /** That many of each measure in each pair of processes. */
  readonly rounds: number
  /** Measures the subjects whose name begins so. */
  readonly only: string
}

export const asked = (): Asked | undefined => {
  const { values: { against, only, rounds } } = parseArgs({
    options: {
      against: { type: "string" },
      rounds: { type: "string", default: "8" },
      only: { type: "string", default: "" }
    }
  })
  return against === undefined ? undefined : { revision: against, rounds: Number(rounds), only }
}
