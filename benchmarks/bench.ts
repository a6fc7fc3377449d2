/**
 * `npm run bench`: the hot paths and memory. `npm run bench -- --against REV`: the working tree beside a commit instead.
 * See README.md.
 */
import { parseArgs } from "node:util"
import { compare } from "./against/compare.ts"

const { values } = parseArgs({
  options: {
    against: { type: "string" },
    rounds: { type: "string", default: "8" },
    only: { type: "string", default: "" }
  }
})

if (values.against === undefined) {
  await import("./http.ts")
  await import("./memory.ts")
} else {
  await compare({ revision: values.against, rounds: Number(values.rounds), only: values.only })
}
