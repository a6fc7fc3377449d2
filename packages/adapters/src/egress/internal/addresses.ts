import ipaddr from "ipaddr.js"

/** Azure's platform address is the one that metadata services have outside of reserved networks. */
const platform = new Set(["168.63.129.16"])

/** IPv6 that is given out; whatever else there is leads elsewhere than it says or stays in the house. */
const global = ipaddr.IPv6.parseCIDR("2000::/3")

/** Whether an address is on the public network: neither of this house nor a way to write one that is. */
const isPublic = (address: ipaddr.IPv4 | ipaddr.IPv6): boolean =>
  address.range() === "unicast" && !platform.has(address.toString()) &&
  (address instanceof ipaddr.IPv4 || address.match(global))

/** Networks that may be reached although they are not public. `undefined` when one of them cannot be read. */
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
