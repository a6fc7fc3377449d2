/** Generates the shop's orders: `node data/generate.ts` writes the same `orders.json` on every machine. */
import { writeFileSync } from "node:fs"

const products = [
  ["MUG-01", "Stoneware mug", 1450],
  ["MUG-02", "Pair of espresso cups", 1990],
  ["POT-01", "Cast iron teapot", 5900],
  ["POT-02", "Glass teapot", 3450],
  ["TEA-01", "Assam 250 g", 1195],
  ["TEA-02", "Sencha 100 g", 1380],
  ["TEA-03", "Earl Grey 250 g", 1050],
  ["TEA-04", "Rooibos 250 g", 895],
  ["COF-01", "House espresso 1 kg", 2290],
  ["COF-02", "Filter roast 500 g", 1340],
  ["KET-01", "Gooseneck kettle", 7990],
  ["GRI-01", "Hand grinder", 8900],
  ["SCA-01", "Brewing scale", 4450],
  ["FIL-01", "Pack of paper filters", 650],
  ["TRA-01", "Oak tray", 3800],
  ["TOW-01", "Linen tea towel", 1290],
  ["JAR-01", "Storage jar", 1575],
  ["SPO-01", "Measuring spoon", 740]
] as const

const firstNames = "Marta Jonas Elif Pieter Chiara Tomasz Ingrid Luca Amélie Viktor Noor Sven Paula Diego".split(" ")
const lastNames = "Lindqvist Okafor Brandt Moreau Kowalska Silva Haugen Rossi Novak Demir Jansen Keller".split(" ")

const first = 1001
const count = 260
const opened = Date.UTC(2026, 7, 3, 7, 0)
const closed = Date.UTC(2026, 10, 20, 18, 0)

/** Mulberry32: numbers in [0, 1), the same for the same seed. */
const randomFrom = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const plain = (name: string) => name.normalize("NFD").replaceAll(/[^A-Za-z]/gu, "").toLowerCase()

/** New orders are placed or paid, old ones have arrived. */
const stateAt = (age: number, chance: number) => {
  if (chance < 0.05) return "cancelled"
  if (chance < 0.12) return age > 0.1 ? "refunded" : "paid"
  if (age < 0.04) return chance < 0.5 ? "placed" : "paid"
  if (age < 0.1) return chance < 0.3 ? "paid" : "shipped"
  return age < 0.2 && chance < 0.6 ? "shipped" : "delivered"
}

/** The orders as written to the file: 1042 is always shipped. */
export const generate = () => {
  const random = randomFrom(20_260_803)
  const pick = <A>(items: ReadonlyArray<A>): A => {
    const item = items[Math.floor(random() * items.length)]
    if (item === undefined) throw new RangeError("nothing to pick from")
    return item
  }
  return Array.from({ length: count }, (_, index) => {
    const id = first + index
    const [name, family] = [pick(firstNames), pick(lastNames)]
    const wanted = new Set(Array.from({ length: id === 1042 ? 3 : 1 + Math.floor(random() * 4) }, () => pick(products)))
    const lines = Array.from(wanted, ([sku, name, cents]) => {
      const quantity = random() < 0.7 ? 1 : 2 + Math.floor(random() * 3)
      return { line: { sku, name, quantity, unitPrice: cents / 100 }, cents: cents * quantity }
    })
    const amount = lines.reduce((sum, { cents }) => sum + cents, 0) / 100
    const drift = Math.floor(random() * 9 * 3_600_000)
    const placedAt = new Date(opened + Math.floor((closed - opened) * (index / count)) + drift)
    const drawn = stateAt(1 - index / count, random())
    const state = id === 1042 ? "shipped" : drawn
    const code = `AC${String(Math.floor(random() * 1e9)).padStart(9, "0")}EU`
    return {
      id,
      customer: { name: `${name} ${family}`, email: `${plain(name)}.${plain(family)}@example.com` },
      lines: lines.map(({ line }) => line),
      amount,
      currency: "EUR",
      state,
      placedAt: placedAt.toISOString(),
      ...(state === "shipped" || state === "delivered" ? { trackingCode: code } : {}),
      ...(state === "refunded" ? { refunded: amount } : {})
    }
  })
}

if (import.meta.main) {
  const lines = generate().map((order) => JSON.stringify(order))
  writeFileSync(new URL("orders.json", import.meta.url), `[\n${lines.join(",\n")}\n]\n`)
}
