// An agent with every integration. Each is off until its own variable is set; docs/observability.md, docs/guardrails.md,
// docs/evals.md and docs/gateways.md name them.
import { Config, Effect, Layer, Schema } from "effect"
import { Toolkit } from "effect/ai"
import { Agent, App, Hook } from "fastagentic"
import { DefaultModel, ModelLoop } from "fastagentic/effect-ai"
import { BraintrustScores, Evals, LangfuseScores, LangSmithFeedback, Scorer } from "fastagentic/evals"
import { ModelLimits } from "fastagentic/gateways"
import { Guardrail, GuardrailsAi, Lakera, LiteLlm, Nemo, OpenAiModeration } from "fastagentic/guardrails"
import { Braintrust, Datadog, Langfuse, LangSmith, Logfire, Observability, Phoenix } from "fastagentic/observability"

class Prompts extends Hook.make("prompts", { timeout: "3 seconds", onFailure: "closed" }) {}
class Moderation extends Hook.make("moderation", { timeout: "3 seconds", onFailure: "open" }) {}
class Validation extends Hook.make("validation", { timeout: "3 seconds", onFailure: "closed" }) {}
class Rails extends Hook.make("rails", { timeout: "3 seconds", onFailure: "closed" }) {}
class Own extends Hook.make("own", { timeout: "3 seconds", onFailure: "closed" }) {}

class Support extends Agent.make("support", {
  description: "Answers questions",
  payload: { question: Schema.NonEmptyString }
}) {}

const SupportLayer = Support.toLayer(({ question }) =>
  ModelLoop.run({ prompt: question, toolkit: Toolkit.empty }).pipe(Effect.map(({ text }) => text))
).pipe(Layer.provide(DefaultModel.layer))

class Desk extends App.make("desk", { version: "1.0.0", agents: [Support] })
  .hook(Evals.Evals)
  .hook(Prompts).hook(Moderation).hook(Validation).hook(Rails).hook(Own)
  .hook(ModelLimits.ModelLimits)
{}

/** Servers of your own are on private addresses, such as `INTEGRATIONS_ALLOW=10.1.0.0/16`. */
const networks = Config.String("INTEGRATIONS_ALLOW").pipe(
  Config.map((text) => text.split(",")),
  Config.withDefault([])
)

const Integrations = Layer.unwrap(Effect.map(networks, (allow) =>
  Layer.mergeAll(
    Observability.layer({
      serviceName: "desk",
      allow,
      destinations: [
        Langfuse.fromConfig,
        Logfire.fromConfig,
        Datadog.fromConfig,
        Braintrust.fromConfig,
        LangSmith.fromConfig,
        Phoenix.fromConfig
      ]
    }),
    Guardrail.layer(Prompts, Lakera.fromConfig, { on: ["input", "prompt", "tool_result"], allow }),
    Guardrail.layer(Moderation, OpenAiModeration.fromConfig, { on: ["input", "output"], allow }),
    Guardrail.layer(Validation, GuardrailsAi.fromConfig, { on: ["output"], stream: "whole", allow }),
    Guardrail.layer(Rails, Nemo.fromConfig, { on: ["input", "output"], allow }),
    Guardrail.layer(Own, LiteLlm.fromConfig, { on: ["input", "tool_arguments", "tool_result"], allow }),
    Evals.layer({
      scorers: [Scorer.make("short", ({ output }) => String(output).length < 400 ? 1 : 0)],
      sinks: [LangfuseScores.fromConfig, LangSmithFeedback.fromConfig, BraintrustScores.fromConfig],
      allow
    }),
    ModelLimits.layer({ "*": { concurrency: 32 } })
  )))

export default Desk.provide(Layer.mergeAll(SupportLayer, Integrations))
