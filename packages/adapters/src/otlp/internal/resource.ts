// The service that telemetry is about, unless the variables name it.
import { Effect } from "effect"
import { pairsOf } from "./environment.ts"

export interface Description {
  readonly serviceName?: string
  readonly serviceVersion?: string | undefined
}

/** The parts that the variables leave open. */
export const describe = Effect.fnUntraced(function*({ serviceName, serviceVersion }: {
  readonly serviceName: string
  readonly serviceVersion?: string | undefined
}) {
  const { OTEL_RESOURCE_ATTRIBUTES: attributes = "", OTEL_SERVICE_NAME: name } = process.env
  const said = pairsOf(attributes)
  const isNamed = name !== undefined || said["service.name"] !== undefined
  return {
    ...(isNamed ? {} : { serviceName }),
    ...(said["service.version"] === undefined ? { serviceVersion } : {})
  } satisfies Description
})
