// The random histories of Model.test.ts, more of them: `vitest.workspace.ts` says how many.
import "./Model.test.ts"
