/**
 * The whole pipeline without a port, and scripted models, for an app's own tests.
 *
 * @since 0.1.0
 */
export { ScriptedModel } from "@fastagentic/adapters/effect-ai"
export { AppTest } from "@fastagentic/protocols/http"
