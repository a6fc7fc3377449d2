// The error of a declaration that no protocol could serve, and icons, which every declaration may have. Fusion exports the error.
import { Effect, Schema } from "effect"
import type * as Presentation from "../Presentation.ts"

export class FusionError extends Schema.TaggedError<FusionError>()("FusionError", {
  declaration: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.declaration}: ${this.problem}`
  }
}

/** Clients load icons, so that an address may only be one that leaves them alone. */
export const checkIcons = (declaration: string, presentation: Presentation.Presentation) => {
  const wrong = presentation.icons?.find(({ src }) => !/^(https:|data:image\/)/iu.test(src))
  return wrong === undefined
    ? Effect.succeed(presentation)
    : Effect.fail(
      new FusionError({ declaration, problem: `its icon "${wrong.src}" is no https: or data:image/ address` })
    )
}
