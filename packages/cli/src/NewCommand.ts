/**
 * `fastagentic new [name]`: writes an app from a template.
 *
 * @since 0.1.0
 */
import { Console, Effect, Option, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Prompt from "effect/cli/Prompt"
import * as Template from "./internal/template.ts"

const Name = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9-]{0,63}$/u))

/** The name is missing, or does not fit packages, apps and folders. @category errors @since 0.1.0 */
export class UnusableName extends Schema.TaggedError<UnusableName>()("UnusableName", { problem: Schema.String }) {
  override get message() {
    return `${this.problem}; call it \`fastagentic new my-app\`: a to z, 0 to 9 and -, a letter first, at most 64`
  }
}

/** A pipe or a CI job is not asked: the command uses defaults there, or says what is missing. */
const asks = Effect.sync(() => process.stdin.isTTY && process.stdout.isTTY)

const nameOf = Effect.fnUntraced(function*(given: Option.Option<string>) {
  if (Option.isNone(given) && !(yield* asks)) return yield* new UnusableName({ problem: "new needs a name" })
  const name = Option.isSome(given) ? given.value : yield* Prompt.run(Prompt.String({ message: "Name of the app" }))
  // A package that has the name of one of its dependencies finds itself instead.
  if (Template.dependencies.has(name)) {
    return yield* new UnusableName({ problem: `${JSON.stringify(name)} is a package that the app needs` })
  }
  return Schema.is(Name)(name)
    ? name
    : yield* new UnusableName({ problem: `${JSON.stringify(name)} does not fit a package, an app and a folder` })
})

const templateOf = Effect.fnUntraced(function*(given: Option.Option<Template.Name>) {
  if (Option.isSome(given)) return given.value
  if (!(yield* asks)) return Template.names[0]
  return yield* Prompt.run(Prompt.Select({
    message: "Template",
    choices: Template.names.map((value) => ({ title: value, value, description: Template.descriptions[value] }))
  }))
})

/** @category commands @since 0.1.0 */
export const command = Command.make(
  "new",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("Name of the app, and of the folder that is made"),
      Argument.optional
    ),
    template: Flag.Literals("template", Template.names).pipe(
      Flag.withDescription(`What the app starts with; default ${Template.names[0]}`),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*(given) {
    const name = yield* nameOf(given.name)
    const template = yield* templateOf(given.template)
    const files = yield* Template.write(template, name)
    yield* Console.log(
      `${name}: ${files} files of the template ${template}\n\n  cd ${name}\n  npm install\n  npm run dev`
    )
  })
).pipe(Command.withDescription("Write an app with tests, Dockerfile and CI file, from a template"))
