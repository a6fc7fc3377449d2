/**
 * `npm run bench`: the hot paths and memory. `npm run bench -- --against REV`: the working tree beside a commit instead.
 * See README.md.
 */
import { asked } from "./against/asked.ts"
import { compare } from "./against/compare.ts"
import { hotPaths } from "./against/measures.ts"

const comparison = asked()

if (comparison === undefined) {
  await import("./http.ts")
  await import("./memory.ts")
} else {
  await compare(comparison, hotPaths)
}
