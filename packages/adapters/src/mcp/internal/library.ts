// Loads the official MCP client on use; it is an optional peer.
import { Effect } from "effect"
import { AdapterLoadError } from "../../adapter/AdapterError.ts"

const name = "@modelcontextprotocol/client"

/** The parts of the client that are used at run time. */
export const library = Effect.tryPromise({
  try: async () => {
    const [client, stdio, ajv] = await Promise.all([
      import("@modelcontextprotocol/client"),
      import("@modelcontextprotocol/client/stdio"),
      import("@modelcontextprotocol/client/validators/ajv")
    ])
    return { ...client, ...stdio, AjvJsonSchemaValidator: ajv.AjvJsonSchemaValidator }
  },
  catch: (cause) => new AdapterLoadError({ adapter: "mcp", module: name, cause })
})

export type Library = Effect.Success<typeof library>
