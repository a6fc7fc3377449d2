// Decides whether an address is on the public network; the dispatcher asks before each connection.
import ipaddr from "ipaddr.js"

/** Azure's platform address, the one metadata address outside the reserved networks. */
const platform = new Set(["168.63.129.16"])

/** Allocated IPv6 addresses; all others are reserved, local or lead to another address. */
const global = ipaddr.IPv6.parseCIDR("2000::/3")

/** Whether an address is on the public network, in any notation. */
const isPublic = (address: ipaddr.IPv4 | ipaddr.IPv6): boolean =>
  address.range() === "unicast" && !platform.has(address.toString()) &&
  (address instanceof ipaddr.IPv4 || address.match(global))

/** Networks that may be reached even though they are not public; `undefined` when one of them is malformed. */
export const makeAllowed = (allow: ReadonlyArray<string>): ((address: string) => boolean) | undefined => {
  const networks: Array<[ipaddr.IPv4 | ipaddr.IPv6, number]> = []
  for (const entry of allow) {
    const network = entry.includes("/") ? entry : `${entry}/${ipaddr.IPv6.isValid(entry) ? 128 : 32}`
    if (!ipaddr.isValidCIDR(network)) return undefined
    networks.push(ipaddr.parseCIDR(network))
  }
  return (text) => {
    if (!ipaddr.IPv6.isValid(text) && !ipaddr.IPv4.isValidFourPartDecimal(text)) return false
    const address = ipaddr.parse(text)
    return isPublic(address) ||
      networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))
  }
}
