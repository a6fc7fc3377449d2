// Remote tools as the app declares them: from the file of pins, before the server is reached. McpRemote.declare makes them; their
// handlers go through the connection of the layer, with the same checks as those of a model loop.
import { Result } from "effect"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import { readFileSync } from "node:fs"
import type { Definition } from "../RemoteDefinition.ts"
import { PinsUnusable, ToolNamesCollide } from "../RemoteError.ts"
import { collisions } from "./names.ts"
import { messageOf, toolsIn } from "./pins.ts"
import * as Tools from "./tools.ts"

/** The tools of a server that an app declares. */
export interface Part {
  readonly server: string
  readonly toolkit: Toolkit.Toolkit<Tools.Tools>
  readonly declared: ReadonlyArray<Tools.Declared>
}

/** The pinned definitions; none before the first start has written the file. */
export const pinnedIn = (server: string, file: string): ReadonlyArray<Definition> | undefined => {
  const text = textOf(file)
  if (text === undefined) return undefined
  return Object.values(Result.getOrThrow(toolsIn(server, file, text))).map(({ definition }) => definition)
}

const textOf = (file: string) => {
  try {
    return readFileSync(file, "utf8")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw new PinsUnusable({ file, problem: messageOf(error) })
  }
}

export const make = (
  server: string,
  prefix: string,
  definitions: ReadonlyArray<Definition>,
  rules: (definition: Definition) => Tools.Rules | "hidden"
): Part => {
  const declared = definitions.flatMap((definition) => {
    const rule = rules(definition)
    // The door has checked the arguments against the schema before it asks for an approval.
    return rule === "hidden" ? [] : [Tools.declare(prefix, definition, rule, () => true)]
  })
  refuse(declared.map(({ definition, tool }) => ({ name: tool.name, of: `"${definition.name}" of ${server}` })))
  return { server, declared, toolkit: Tools.toolkitOf(declared) }
}

/** The tools of an app's own toolkits and of its servers, under their names. */
export const together = (parts: ReadonlyArray<Part | Toolkit.Any>): ReadonlyArray<Tool.Any> => {
  const named = parts.flatMap((part): ReadonlyArray<{ readonly tool: Tool.Any; readonly of: string }> =>
    "declared" in part
      ? part.declared.map(({ definition, tool }) => ({ tool, of: `"${definition.name}" of ${part.server}` }))
      : Object.values(part.tools).map((tool) => ({ tool, of: "the app's own" }))
  )
  refuse(named.map(({ of, tool }) => ({ name: tool.name, of })))
  return named.map(({ tool }) => tool)
}

const refuse = (named: Parameters<typeof collisions>[0]) => {
  const names = collisions(named)
  if (names.length > 0) throw new ToolNamesCollide({ names })
}
