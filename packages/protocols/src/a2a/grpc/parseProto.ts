// Reads the text of a file of protocol buffers as its descriptor; codec.ts calls it once. It knows the part of the language that
// our own files use, and stops at anything else.
import type { MessageInitShape } from "@bufbuild/protobuf"
import type { DescriptorProtoSchema, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"

type File = MessageInitShape<typeof FileDescriptorProtoSchema>
type Message = Exclude<MessageInitShape<typeof DescriptorProtoSchema>, { readonly $typeName: string }>
type Field = NonNullable<Message["field"]>[number]

/** The numbers of `FieldDescriptorProto.Type` and `.Label`. */
const scalars: ReadonlyMap<string, number> = new Map([["int32", 5], ["bool", 8], ["string", 9], ["bytes", 12]])
const types = { message: 11, enum: 14 } as const
const labels = { optional: 1, repeated: 3 } as const

export const parseProto = (name: string, text: string, dependency: ReadonlyArray<string>) => {
  const tokens = text.match(/[\w.]+|"[^"]*"|[^\s\w]/gu) ?? []
  const enums = new Set([...text.matchAll(/enum (\w+)/gu)].map(([, one]) => one))
  let at = 0
  const next = () => {
    const token = tokens[at++]
    if (token === undefined) throw new Error(`${name} ends too early`)
    return token
  }
  const expect = (wanted: string) => {
    const token = next()
    if (token !== wanted) throw new Error(`${name} has "${token}" instead of "${wanted}"`)
  }
  const take = (wanted: string) => tokens[at] === wanted && at++ >= 0
  const inBraces = (each: () => void) => {
    expect("{")
    while (!take("}")) each()
  }

  expect("package")
  const packageName = next()
  expect(";")
  const full = (type: string) => type.includes(".") ? `.${type}` : `.${packageName}.${type}`
  const typed = (type: string) => {
    const scalar = scalars.get(type)
    if (scalar !== undefined) return { type: scalar }
    return { type: enums.has(type) ? types.enum : types.message, typeName: full(type) }
  }

  const message = (): Message => {
    const found = { name: next(), field: new Array<Field>(), nestedType: new Array<Message>() }
    const oneofDecl: Array<{ readonly name: string }> = []
    const add = (type: string, label: number, more: object) => {
      const named = next()
      expect("=")
      const number = Number(next())
      const json = take("[") ? jsonName() : named.replaceAll(/_(\w)/gu, (_all, letter: string) => letter.toUpperCase())
      expect(";")
      found.field.push({ name: named, number, jsonName: json, label, ...typed(type), ...more })
      return named
    }
    const jsonName = () => {
      for (const token of ["json_name", "="]) expect(token)
      const quoted = next()
      expect("]")
      return quoted.slice(1, -1)
    }
    inBraces(() => {
      const type = next()
      if (type === "oneof") {
        const oneofIndex = oneofDecl.push({ name: next() }) - 1
        inBraces(() => add(next(), labels.optional, { oneofIndex }))
      } else if (type === "repeated") add(next(), labels.repeated, {})
      else if (type === "optional") {
        const oneofIndex = oneofDecl.length
        oneofDecl.push({ name: `_${add(next(), labels.optional, { proto3Optional: true, oneofIndex })}` })
      } else if (type === "map") {
        for (const token of ["<", "string", ","]) expect(token)
        const value = next()
        expect(">")
        const entry = `${
          (tokens[at] ?? "").replaceAll(/(?:^|_)(\w)/gu, (_all, letter: string) => letter.toUpperCase())
        }Entry`
        add(`${packageName}.${found.name}.${entry}`, labels.repeated, {})
        const fields = [["key", "string"], ["value", value]] as const
        found.nestedType.push({
          name: entry,
          options: { mapEntry: true },
          field: fields.map(([name, type], index) => ({
            name,
            jsonName: name,
            number: index + 1,
            label: labels.optional,
            ...typed(type)
          }))
        })
      } else add(type, labels.optional, {})
    })
    return { ...found, oneofDecl }
  }

  const enumeration = () => {
    const found = { name: next(), value: new Array<{ readonly name: string; readonly number: number }>() }
    inBraces(() => {
      const name = next()
      expect("=")
      found.value.push({ name, number: Number(next()) })
      expect(";")
    })
    return found
  }

  const service = () => {
    const method: Array<Record<"name" | "inputType" | "outputType", string> & { readonly serverStreaming: boolean }> =
      []
    const name = next()
    inBraces(() => {
      expect("rpc")
      const rpc = next()
      expect("(")
      const inputType = full(next())
      for (const token of [")", "returns", "("]) expect(token)
      const serverStreaming = take("stream")
      method.push({ name: rpc, inputType, outputType: full(next()), serverStreaming })
      for (const token of [")", ";"]) expect(token)
    })
    return { name, method }
  }

  const messageType: Array<Message> = []
  const enumType: Array<ReturnType<typeof enumeration>> = []
  const services: Array<ReturnType<typeof service>> = []
  while (at < tokens.length) {
    const kind = next()
    if (kind === "message") messageType.push(message())
    else if (kind === "enum") enumType.push(enumeration())
    else if (kind === "service") services.push(service())
    else throw new Error(`${name} has an unknown "${kind}"`)
  }
  return {
    name,
    package: packageName,
    syntax: "proto3",
    dependency: [...dependency],
    messageType,
    enumType,
    service: services
  } satisfies File
}
