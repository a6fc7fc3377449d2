export * as OpenTelemetry from "./OpenTelemetry.ts"
