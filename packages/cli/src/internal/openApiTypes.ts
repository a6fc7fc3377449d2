// Writes the TypeScript types of an OpenAPI document for `export types`. They have the shape of openapi-typescript's, which
// openapi-fetch and others take, and name no package.

type Json = Readonly<Record<string, unknown>>

const methods = ["get", "put", "post", "delete", "patch"] as const
const places = ["query", "header", "path", "cookie"] as const

/** The module of a document: `paths`, by path and method, and `components`, the named schemas. */
export const typesOf = (document: unknown): string => {
  const { components, info, paths } = objectOf(document)
  const { title, version } = objectOf(info)
  const named = Object.entries(objectOf(objectOf(components)["schemas"]))
  return [
    `// The REST API of ${oneLine(title)} ${oneLine(version)}, written by \`fastagentic export types\`.`,
    `export interface paths ${
      block(Object.entries(objectOf(paths)).map(([path, item]) => pathOf(path, objectOf(item))))
    }`,
    `export interface components ${
      block([
        `schemas: ${
          block(named.map(([name, schema]) => documented(schema, `${JSON.stringify(name)}: ${typeOf(schema)};`)))
        };`
      ])
    }`,
    ""
  ].join("\n\n").trimEnd() + "\n"
}

const pathOf = (path: string, item: Json) =>
  `${JSON.stringify(path)}: ${
    block([
      ...(item["parameters"] === undefined ? [] : [`parameters: ${parametersOf(arrayOf(item["parameters"]))};`]),
      ...methods.flatMap((method) => {
        const operation = item[method]
        return operation === undefined ? [] : [documented(operation, `${method}: ${operationOf(objectOf(operation))};`)]
      })
    ])
  };`

const operationOf = ({ parameters, requestBody, responses }: Json) =>
  block([
    `parameters: ${parametersOf(arrayOf(parameters))};`,
    ...(requestBody === undefined ? [] : [bodyOf(objectOf(requestBody))]),
    `responses: ${
      block(
        Object.entries(objectOf(responses)).map(([status, response]) =>
          documented(response, `${key(status)}: ${responseOf(objectOf(response))};`)
        )
      )
    };`
  ])

const parametersOf = (all: ReadonlyArray<Json>) =>
  block(places.map((place) => {
    const here = all.filter((parameter) => parameter["in"] === place)
    if (here.length === 0) return `${place}?: never;`
    const isRequired = here.some(({ required }) => required === true)
    const fields = here.map((parameter) =>
      documented(
        parameter,
        `${JSON.stringify(String(parameter["name"]))}${optional(parameter)}: ${typeOf(parameter["schema"])};`
      )
    )
    return `${place}${isRequired ? "" : "?"}: ${block(fields)};`
  }))

const bodyOf = (body: Json) => `requestBody${optional(body)}: ${block([`content: ${contentOf(body["content"])};`])};`

const responseOf = ({ content }: Json) =>
  block([
    "headers: { [name: string]: unknown };",
    content === undefined ? "content?: never;" : `content: ${contentOf(content)};`
  ])

const contentOf = (content: unknown) =>
  block(
    Object.entries(objectOf(content)).map(([type, media]) =>
      `${JSON.stringify(type)}: ${typeOf(objectOf(media)["schema"])};`
    )
  )

const optional = ({ required }: Json) => required === true ? "" : "?"

/** The type of a JSON Schema. */
export const typeOf = (schema: unknown): string => {
  if (schema === false) return "never"
  const all = objectOf(schema)
  if (typeof all["$ref"] === "string") return reference(all["$ref"])
  if (all["const"] !== undefined) return literal(all["const"])
  if (Array.isArray(all["enum"])) return union(all["enum"].map(literal))
  const combined = (["anyOf", "oneOf"] as const).flatMap((name) =>
    Array.isArray(all[name]) ? [union(all[name].map(typeOf))] : []
  )
  const parts = [...combined, ...(Array.isArray(all["allOf"]) ? all["allOf"].map(typeOf) : [])]
  const own = ownTypeOf(all)
  if (own !== "unknown") parts.push(own)
  const known = parts.filter((part) => part !== "unknown")
  return known.length === 0 ? "unknown" : known.map((part) => known.length > 1 ? grouped(part) : part).join(" & ")
}

const ownTypeOf = (schema: Json): string => {
  const { format, type } = schema
  if (Array.isArray(type)) return union(type.map((one) => ownTypeOf({ ...schema, type: one })))
  switch (type) {
    case "string":
      return format === "binary" ? "Blob" : "string"
    case "integer":
    case "number":
      return "number"
    case "boolean":
      return "boolean"
    case "null":
      return "null"
    case "array":
      return arrayTypeOf(schema)
    case "object":
      return objectTypeOf(schema)
    default:
      return schema["properties"] === undefined ? "unknown" : objectTypeOf(schema)
  }
}

const arrayTypeOf = ({ items, minItems = 0, prefixItems }: Json): string => {
  if (!Array.isArray(prefixItems)) return `${grouped(typeOf(items))}[]`
  const first = prefixItems.map((item, index) => `${grouped(typeOf(item))}${index < Number(minItems) ? "" : "?"}`)
  return `[${[...first, ...(items === false ? [] : [`...${grouped(typeOf(items))}[]`])].join(", ")}]`
}

const objectTypeOf = ({ additionalProperties, patternProperties, properties, required }: Json): string => {
  const needed = new Set(Array.isArray(required) ? required : [])
  const fields = Object.entries(objectOf(properties)).map(([name, schema]) =>
    documented(schema, `${JSON.stringify(name)}${needed.has(name) ? "" : "?"}: ${typeOf(schema)};`)
  )
  const others = [
    ...Object.values(objectOf(patternProperties)),
    ...(additionalProperties === undefined || additionalProperties === false ? [] : [additionalProperties])
  ]
  const isOpen = others.length > 0 || (properties === undefined && additionalProperties !== false)
  if (!isOpen) return fields.length === 0 ? "Record<string, never>" : block(fields)
  const rest = `{ [name: string]: ${others.length === 0 ? "unknown" : union(others.map(typeOf))} }`
  return fields.length === 0 ? rest : `${block(fields)} & ${rest}`
}

const reference = (ref: string): string => {
  const name = /^#\/components\/schemas\/([^/]+)$/u.exec(ref)?.[1]
  return name === undefined
    ? "unknown"
    : `components["schemas"][${JSON.stringify(decodeURIComponent(name).replaceAll("~1", "/").replaceAll("~0", "~"))}]`
}

const union = (members: ReadonlyArray<string>): string => {
  const all = [...new Set(members)]
  if (all.includes("unknown")) return "unknown"
  return all.length === 0 ? "never" : all.length === 1 ? all.join() : all.map(grouped).join(" | ")
}

/** A type that may stand before `[]`, `&` and `|`. */
const grouped = (type: string) =>
  /^(?:\w+|"(?:[^"\\]|\\.)*"|components(?:\["[^"\]]*"\])+)$/u.test(type) ? type : `(${type})`

const literal = (value: unknown): string =>
  typeof value === "object" && value !== null
    ? Array.isArray(value)
      ? `[${value.map(literal).join(", ")}]`
      : block(Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${literal(one)};`))
    : JSON.stringify(value)

const block = (lines: ReadonlyArray<string>): string =>
  lines.length === 0 ? "{}" : `{\n${lines.map((line) => line.replaceAll(/^/gmu, "  ")).join("\n")}\n}`

/** Statuses are numbers, and `default` is a name. */
const key = (status: string) => /^\d+$/u.test(status) ? status : JSON.stringify(status)

const documented = (of: unknown, line: string): string => {
  const { description, summary } = objectOf(of)
  const text = [summary, description].find((one) => typeof one === "string")
  return text === undefined ? line : `/** ${oneLine(text)} */\n${line}`
}

const oneLine = (text: unknown) => String(text).replaceAll(/\s+/gu, " ").replaceAll("*/", "*\\/").trim()

const objectOf = (value: unknown): Json => isObject(value) ? value : {}

const arrayOf = (value: unknown): ReadonlyArray<Json> => Array.isArray(value) ? value.map(objectOf) : []

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)
