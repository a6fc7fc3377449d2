// Decides by its id whether a run is scored: the same on every node and after a restart.
/** FNV-1a, 32 bits. */
export const isSampled = (runId: string, share: number): boolean => {
  if (share >= 1) return true
  let hash = 0x81_1c_9d_c5
  for (let index = 0; index < runId.length; index++) hash = Math.imul(hash ^ runId.charCodeAt(index), 0x01_00_01_93)
  return (hash >>> 0) < share * 2 ** 32
}
