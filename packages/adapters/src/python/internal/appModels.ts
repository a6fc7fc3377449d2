// The models of the app that a factory of Python gets; host.ts adds the request. A call is a step with hooks, budget and events,
// and the framework makes the calls of tools that the answer asks for.
import { Schema } from "effect"
import * as RuntimeModel from "../../adapter/RuntimeModel.ts"
import { callModel, decodePrompt } from "./modelRequests.ts"
import type { Handler } from "./session.ts"

const optional = Schema.optionalKey
const Json = Schema.Record(Schema.String, Schema.Json)

/** A tool as frameworks name it to a model, also in the form of OpenAI. */
const Named = Schema.Struct({ name: Schema.String, description: optional(Schema.String), parameters: optional(Json) })

const decode = Schema.decodeUnknownSync(Schema.Struct({
  /** By default the model that the agent declares, and then the one of its layer. */
  app: Schema.NullOr(Schema.String),
  prompt: Schema.Array(Schema.Json),
  tools: Schema.Array(Schema.Union([Named, Schema.Struct({ function: Named })])),
  /** The ids that calls of tools have in this run: models may choose one again. */
  ids: optional(Schema.Array(Schema.String)),
  maxOutputTokens: optional(Schema.Int)
}))

const declaredOf = ({ description, name, parameters = {} }: typeof Named.Type): RuntimeModel.Declared => ({
  name,
  description,
  parameters
})

/** Calls a model of the app; `begin` opens the turn that the answer belongs to. */
export const appModelHandler = (begin: () => Promise<void>): Handler => async ({ data, session }) => {
  const { app, ids = [], maxOutputTokens, prompt, tools } = decode(data)
  const find = await session.framework.promise(RuntimeModel.make(new Set(ids)))
  const model = find(app ?? undefined)
  const asked: RuntimeModel.Asked = {
    prompt: decodePrompt({ content: prompt }),
    tools: tools.map((one) => declaredOf("function" in one ? one.function : one)),
    maxOutputTokens
  }
  await begin()
  return callModel(session, model.model, (onSend) => model.call(asked, onSend))
}
