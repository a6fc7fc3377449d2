// Remote tools as tools of effect/ai: their names, their hints as annotations, and who has to approve a call. McpRemote.ts makes
// the toolkit of a model loop from them, and a toolkit that an app declares.
import * as Policy from "@fastagentic/core/base/Policy"
import { escapeUnseen } from "@fastagentic/core/base/VisibleText"
import * as Content from "@fastagentic/core/run/Content"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { type Duration, Effect } from "effect"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { fromContent } from "../../effect-ai/PromptContent.ts"
import type { Definition } from "../RemoteDefinition.ts"
import { CallError } from "../RemoteError.ts"
import { nameFor } from "./names.ts"

/** The door's rules for a tool. @internal */
export interface Rules {
  readonly scopes?: ReadonlyArray<string> | undefined
  readonly approval?: boolean | Policy.ApprovalOptions | undefined
  readonly timeout?: Duration.Input | undefined
}

/** A remote tool, and what this app makes of it. */
export interface Declared {
  readonly definition: Definition
  readonly tool: RemoteTool
}

export type RemoteTool<Name extends string = string> = Tool.Dynamic<Name, {
  readonly parameters: { readonly type: "object" }
  readonly success: typeof Content.List
  readonly failure: typeof CallError
  readonly failureMode: "return"
}>

/** A tool that is neither read-only nor says that it destroys nothing needs an approval: that is the default of MCP, too. */
export const needsApproval = ({ annotations = {} }: Definition): boolean =>
  annotations.readOnlyHint !== true && annotations.destructiveHint !== false

/** Declares a tool. `fits` says whether arguments fit: a call that is refused anyway is put before nobody. */
export const declare = (
  prefix: string,
  definition: Definition,
  rules: Rules,
  fits: (args: unknown) => boolean
): Declared => {
  const { annotations = {}, description, inputSchema, name, title = annotations.title } = definition
  const { approval = needsApproval(definition), scopes = [] } = rules
  const made = Tool.dynamic(nameFor(prefix, name), {
    // A person who reads the list sees what the model reads.
    ...(description === undefined ? {} : { description: escapeUnseen(description) }),
    parameters: inputSchema,
    success: Content.List,
    failure: CallError,
    failureMode: "return",
    ...(approval === false ? {} : { needsApproval: fits }),
    toModelOutput: (contents: Content.List) => contents.map(partOf)
  })
  const declared = made
    .annotate(Tool.Readonly, annotations.readOnlyHint === true)
    .annotate(Tool.Destructive, annotations.readOnlyHint !== true && annotations.destructiveHint !== false)
    .annotate(Tool.Idempotent, annotations.idempotentHint === true)
    .annotate(Tool.OpenWorld, annotations.openWorldHint !== false)
    .annotate(Tool.Title, escapeUnseen(title ?? name))
    .annotate(Policy.Scopes, scopes)
    .annotate(Policy.Approval, typeof approval === "object" ? approval : {})
  // cast: the annotations do not change the type, and the parameters are a schema of an object.
  return { definition, tool: declared as unknown as RemoteTool }
}

const partOf = (content: Content.Content): Prompt.ToolModelOutputPart => {
  if (!Content.isBinary(content)) return fromContent(content)
  const { bytes, fileId, mediaType, name } = content
  return bytes === undefined
    ? Prompt.makePart("text", { text: `[${mediaType} ${name ?? ""} is the stored file ${fileId}]` })
    : fromContent({ ...content, bytes })
}

/** The work behind a tool. */
export type Handle = (
  declared: Declared,
  args: unknown,
  progress: (content: Content.List) => void
) => Effect.Effect<Content.List, CallError, CurrentRun>

export type Tools = Record<string, RemoteTool>

/** The tools as a toolkit, which an app or a loop takes. */
export const toolkitOf = (declared: ReadonlyArray<Declared>): Toolkit.Toolkit<Tools> =>
  // cast: the names are known at run time only.
  Toolkit.make(...declared.map(({ tool }) => tool)) as unknown as Toolkit.Toolkit<Tools>

/** The toolkit with its handlers. */
export const bind = (
  toolkit: Toolkit.Toolkit<Tools>,
  declared: ReadonlyArray<Declared>,
  handle: Handle
): Effect.Effect<Toolkit.WithHandler<Tools>> =>
  Effect.flatMap(
    toolkit.toHandlers(handlersOf(declared, handle)),
    (context) => Effect.provideContext(toolkit, context)
  )

/** The handlers of the tools, by their names. */
export const handlersOf = (declared: ReadonlyArray<Declared>, handle: Handle) =>
  Object.fromEntries(declared.map((one) => [
    one.tool.name,
    (args: unknown, context: { readonly preliminary: (content: Content.List) => Effect.Effect<void> }) =>
      // cast: the runtime calls a tool inside its run.
      handle(one, args, (content) => Effect.runFork(context.preliminary(content))) as Effect.Effect<
        Content.List,
        CallError
      >
  ]))
