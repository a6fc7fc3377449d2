// Checks values against the schemas of a remote server, in bounded time and without the network. The client uses it for the
// results of tools, call.ts for their arguments; a schema that cannot be compiled is an error of its tool alone.
import type { jsonSchemaValidator } from "@modelcontextprotocol/client"
import { within } from "./bounded.ts"
import type { Library } from "./library.ts"

type JsonSchema = Parameters<jsonSchemaValidator["getValidator"]>[0]
type Validate = (input: unknown) => { readonly valid: boolean; readonly problem: string | undefined }

/** Compiles the schema of a remote server. Throws when it is none, or takes too long. */
export const makeCompile = (library: Library) => {
  const known = new WeakMap<object, Validate>()
  return (schema: JsonSchema): Validate => {
    const before = known.get(schema)
    if (before !== undefined) return before
    // An engine of its own for each schema: one engine keeps schemas under their `$id`, which two servers may share.
    const check = within(() => new library.AjvJsonSchemaValidator().getValidator(schema))
    const validate: Validate = (input) => {
      try {
        const { errorMessage, valid } = within(() => check(input))
        return { valid, problem: errorMessage }
      } catch (error) {
        return { valid: false, problem: `it cannot be checked (${error instanceof Error ? error.message : error})` }
      }
    }
    known.set(schema, validate)
    return validate
  }
}

/** The same for the official client, which checks results with it. */
export const validatorOf = (compile: ReturnType<typeof makeCompile>): jsonSchemaValidator => ({
  getValidator: <T>(schema: JsonSchema) => {
    const validate = compile(schema)
    return (input) => {
      const { problem = "it does not fit", valid } = validate(input)
      // cast: the caller names the type of a valid value.
      return valid
        ? { valid, data: input as T, errorMessage: undefined }
        : { valid, data: undefined, errorMessage: problem }
    }
  }
})
