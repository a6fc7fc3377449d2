/** The run that every framework makes: five answers of 40 tokens each, with a call of one tool after each but the last. */
export const steps = 5
export const tokens = 40

const words = Array.from({ length: tokens }, (_, index) => ` word${index}`)

export interface Answer {
  readonly texts: ReadonlyArray<string>
  readonly call: { readonly id: string; readonly name: "look"; readonly args: { readonly order: number } } | undefined
}

/** The model's answer after so many others. */
export const answer = (before: number): Answer => ({
  texts: words,
  call: before < steps - 1 ? { id: `call_${before}`, name: "look", args: { order: before } } : undefined
})

export const usage = { input: 100, output: tokens }

export const look = async ({ order }: { readonly order: number }) => `order ${order} is on its way`

export const orderSchema = {
  type: "object" as const,
  properties: { order: { type: "integer" as const } },
  required: ["order"],
  additionalProperties: false as const
}
