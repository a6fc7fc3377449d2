/**
 * For an app's own tests: its whole pipeline without a port, and models that follow a script.
 *
 * @since 0.1.0
 */
export { ScriptedModel } from "@fastagentic/adapters/effect-ai"
export { AppTest } from "@fastagentic/protocols/http"
