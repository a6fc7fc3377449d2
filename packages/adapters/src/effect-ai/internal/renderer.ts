// Renders the offline model's plan and the tool results as prose.
import { Predicate } from "effect"
import type { Conversation, ToolExchange } from "./conversation.ts"
import type { Plan } from "./planner.ts"
import { isAmountWord, type JsonObject, type ToolShape } from "./toolShape.ts"
import { wordsOfName } from "./words.ts"

const isScalar = (u: unknown): u is string | number | boolean =>
  typeof u === "string" || typeof u === "number" || typeof u === "boolean"

const isRecords = (u: unknown): u is ReadonlyArray<JsonObject> =>
  Array.isArray(u) && u.every(Predicate.isReadonlyObject)

const humanise = (name: string): string =>
  name.replace(/(\p{Ll}|\d)(\p{Lu})/gu, "$1 $2").replaceAll(/[_-]+/g, " ").toLowerCase().trim()

const capitalise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const join = (parts: ReadonlyArray<string>): string =>
  parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`

const amount = (value: number): string => Number.isInteger(value) ? String(value) : value.toFixed(2)

const plural = (noun: string, count: number): string =>
  count === 1 ? noun : /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`

const pastOf = (verb: string): string =>
  verb === "cancel" ? "cancelled" : verb === "send" ? "sent" : verb.endsWith("e") ? `${verb}d` : `${verb}ed`

const dateOf = (value: string): string => /^\d{4}-\d{2}-\d{2}T/.test(value) ? value.slice(0, 10) : value

const scalar = (value: string | number | boolean): string =>
  typeof value === "number" ? amount(value) : typeof value === "boolean" ? (value ? "yes" : "no") : dateOf(value)

/** The parts of an object that have a role in prose; fields without a role stay in `rest`. */
interface Portrait {
  readonly id: string | undefined
  readonly person: string | undefined
  readonly state: string | undefined
  readonly price: string | undefined
  readonly lines: ReadonlyArray<string>
  readonly dates: ReadonlyArray<string>
  readonly rest: ReadonlyArray<string>
}

const entryFor = (entries: ReadonlyArray<readonly [string, unknown]>, keys: ReadonlyArray<string>) =>
  keys.map((key) => entries.find(([name]) => name === key)).find(Predicate.isNotUndefined)

const nameOf = (value: unknown): string | undefined => {
  if (typeof value === "string") return value
  if (!Predicate.isReadonlyObject(value)) return undefined
  return [value.name, value.title, value.email].find((name) => typeof name === "string")
}

const lineOf = (line: JsonObject): string => {
  const name = nameOf(line) ?? [line.sku, line.id].find(isScalar) ?? "item"
  const quantity = [line.quantity, line.qty, line.count].find((value) => typeof value === "number")
  return quantity === undefined ? String(name) : `${quantity} × ${name}`
}

const portray = (value: JsonObject, noun: string): Portrait => {
  const entries = Object.entries(value).filter(([, field]) => Predicate.isNotNullish(field))
  const used = new Set<string>()
  const pick = (keys: ReadonlyArray<string>, fits: (field: unknown) => boolean): unknown => {
    const entry = entryFor(entries.filter(([key, field]) => !used.has(key) && fits(field)), keys)
    if (entry !== undefined) used.add(entry[0])
    return entry?.[1]
  }
  const id = pick(["id", `${noun}Id`, `${noun}_id`, "number", "code"], isScalar)
  const person = nameOf(
    pick(["customer", "user", "owner", "author", "name", "title"], (field) => nameOf(field) !== undefined)
  )
  const state = pick(["state", "status", "phase"], isScalar)
  const currency = pick(["currency"], Predicate.isString)
  const price = pick(
    entries.flatMap(([key]) => wordsOfName(key).some(isAmountWord) ? [key] : []),
    (field) => typeof field === "number"
  )
  const lines = entries.flatMap(([key, field]) => {
    if (!isRecords(field) || field.length === 0) return []
    used.add(key)
    return field.map(lineOf)
  })
  const dates = entries.flatMap(([key, field]) => {
    if (typeof field !== "string" || !/(?:At|On|_at|_on)$/.test(key)) return []
    used.add(key)
    return [`${humanise(key.replace(/_?(?:at|on)$/i, ""))} on ${dateOf(field)}`]
  })
  return {
    id: isScalar(id) ? String(id) : undefined,
    person,
    state: isScalar(state) ? humanise(String(state)) : undefined,
    price: typeof price === "number"
      ? `${amount(price)}${typeof currency === "string" ? ` ${currency}` : ""}`
      : undefined,
    lines,
    dates,
    rest: entries.flatMap(([key, field]) =>
      used.has(key) || !isScalar(field) ? [] : [`${humanise(key)} ${scalar(field)}`]
    )
  }
}

const describe = (value: JsonObject, noun: string): string => {
  const { dates, id, lines, person, price, rest, state } = portray(value, noun)
  const title = id === undefined ? person ?? noun : `${noun} ${id}${person === undefined ? "" : ` of ${person}`}`
  const facts = [
    ...(lines.length > 0 ? [`contains ${join(lines)}`] : []),
    ...(price === undefined ? [] : [`comes to ${price}`]),
    ...dates.map((date) => `was ${date}`)
  ]
  const opening = state === undefined
    ? facts.length === 0 ? `Here is ${title}.` : `${capitalise(title)} ${join(facts)}.`
    : `${capitalise(title)} is ${state}.${facts.length === 0 ? "" : ` It ${join(facts)}.`}`
  return rest.length === 0 ? opening : `${opening} Also: ${join(rest)}.`
}

const summarise = (value: JsonObject, noun: string): string => {
  const { id, person, price, rest, state } = portray(value, noun)
  const title = id === undefined ? person ?? noun : `${noun} ${id}`
  const notes = [id === undefined ? undefined : person, state, price].filter(Predicate.isNotUndefined)
  const shown = notes.length === 0 ? rest.slice(0, 3) : notes
  return shown.length === 0 ? title : `${title} (${shown.join(", ")})`
}

const list = (items: ReadonlyArray<unknown>, noun: string, params: unknown): string => {
  if (items.length === 0) {
    const filters = Predicate.isReadonlyObject(params)
      ? Object.entries(params).flatMap(([key, value]) =>
        key !== "limit" && isScalar(value) ? [`${humanise(key)} ${value}`] : []
      )
      : []
    return `I found no ${plural(noun, 2)}${filters.length === 0 ? "" : ` with ${join(filters)}`}.`
  }
  const shown = items.map((item) => Predicate.isReadonlyObject(item) ? summarise(item, noun) : String(item))
  return `I found ${items.length} ${plural(noun, items.length)}: ${shown.join("; ")}.`
}

const nounOf = (shape: ToolShape): string => shape.nouns.join(" ") || shape.nameWords.join(" ")

const deed = (value: JsonObject, shape: ToolShape, exchange: ToolExchange, currency: string | undefined): string => {
  const pastTense = pastOf(shape.verb)
  const params = Predicate.isReadonlyObject(exchange.params) ? exchange.params : {}
  const subject = shape.parameters.find(({ role }) => role === "identifier")?.name ?? "id"
  const id = params[subject] ?? value.id
  const { price, state } = portray(value, nounOf(shape))
  const refunded = [value[pastTense], params.amount].find((field) => typeof field === "number")
  const what = typeof refunded === "number" ? amount(refunded) + (currency === undefined ? "" : ` ${currency}`) : price
  const object = isScalar(id) ? `${nounOf(shape)} ${id}` : `the ${nounOf(shape)}`
  const sentence = what === undefined ? `Done: I ${pastTense} ${object}.` : `Done: I ${pastTense} ${what} of ${object}.`
  if (state === undefined) return sentence
  return `${sentence} ${state === pastTense ? "It is now" : "Its state is"} ${state}.`
}

const currencyIn = ({ exchanges }: Conversation): string | undefined => {
  const found = exchanges.map(({ result }) => Predicate.isReadonlyObject(result) ? result.currency : undefined)
  return found.findLast(Predicate.isString)
}

const success = (shape: ToolShape, exchange: ToolExchange, conversation: Conversation): string => {
  const { params, result } = exchange
  const noun = nounOf(shape)
  if (Array.isArray(result)) return list(result, noun, params)
  if (isScalar(result)) return `${capitalise(noun)}: ${scalar(result)}.`
  const value = Predicate.isReadonlyObject(result) ? result : undefined
  if (shape.effect === "writes") return deed(value ?? {}, shape, exchange, currencyIn(conversation))
  if (value === undefined) return `I found no ${noun}.`
  const [only, ...others] = Object.values(value).filter(isRecords)
  const bare = only !== undefined && others.length === 0 && portray(value, noun).id === undefined
  return bare ? list(only, noun, params) : describe(value, noun)
}

const reasonOf = (result: unknown, params: unknown): string => {
  if (isScalar(result)) return String(result)
  if (!Predicate.isReadonlyObject(result)) return "the tool gave no reason"
  const nested = Predicate.isReadonlyObject(result.reason) ? reasonOf(result.reason, params) : undefined
  const said = [result.message, nested, result.description].find((text) => typeof text === "string" && text !== "")
  if (typeof said === "string") return said
  const argumentValues: ReadonlyArray<unknown> = Predicate.isReadonlyObject(params) ? Object.values(params) : []
  const details = Object.entries(result).flatMap(([key, value]) =>
    ["_tag", "type", "code"].includes(key) || !isScalar(value) || argumentValues.includes(value)
      ? []
      : [`${humanise(key)} ${scalar(value)}`]
  )
  const tag = result._tag ?? result.type ?? result.code
  const title = typeof tag === "string" ? humanise(tag) : "the tool failed"
  return details.length === 0 ? title : `${title} (${details.join(", ")})`
}

const idIn = (params: unknown): string =>
  Predicate.isReadonlyObject(params)
    ? Object.entries(params).flatMap(([key, value]) =>
      isScalar(value) && wordsOfName(key).some((word) => word === "id" || word === "number") ? [` ${value}`] : []
    )[0] ?? ""
    : ""

const failure = ({ params, result, tool }: ToolExchange): string => {
  const deed = `${humanise(tool)}${idIn(params)}`
  const type = Predicate.isReadonlyObject(result) ? result.type : undefined
  const denial = Predicate.isReadonlyObject(result) && typeof result.reason === "string" ? result.reason : ""
  if (type === "execution-denied") {
    return `I did not ${deed}: the call was denied${denial === "" ? "" : ` (${denial})`}.`
  }
  if (type === "execution-interrupted") return `I did not ${deed}: the call was interrupted.`
  const reason = reasonOf(result, params).replace(/\.$/, "")
  const absent = /^(.+) not found$/.exec(reason)?.[1]
  return absent === undefined ? `I could not ${deed}: ${reason}.` : `There is no ${absent}${idIn(params)}.`
}

const offer = (shapes: ReadonlyArray<ToolShape>): string =>
  shapes.length === 0
    ? "I have no tools here, so there is nothing I can look up or do."
    : `Here is what I can do: ${
      shapes.map(({ description, name }) =>
        description === undefined ? humanise(name) : `${humanise(name)} (${description.replace(/\.$/, "")})`
      ).join("; ")
    }.`

/** Renders the result of a plan as text. */
export const render = (
  plan: Exclude<Plan, { readonly _tag: "Call" }>,
  conversation: Conversation,
  shapes: ReadonlyArray<ToolShape>
): string => {
  switch (plan._tag) {
    case "Report":
      return success(plan.shape, plan.exchange, conversation)
    case "Failed":
      return failure(plan.exchange)
    case "Waiting":
      return `I am still waiting for ${humanise(plan.exchange.tool)} to answer.`
    case "Ask":
      return `To ${humanise(plan.shape.name)} I need to know the ${
        join(plan.missing.map(({ name }) => humanise(name)))
      }. Could you tell me?`
    case "Unable":
      return conversation.question === ""
        ? `Hello. ${offer(shapes)}`
        : `Sorry, I cannot help with that. ${offer(shapes)}`
  }
}
