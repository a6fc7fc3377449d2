// A store outside React, as `useSyncExternalStore` reads it. It works while somebody watches: React's strict mode, which
// leaves and comes back at once, neither stops nor repeats the work.

export interface External<State> {
  readonly snapshot: () => State
  /** The state on a server that renders pages, where nothing is known. */
  readonly initial: () => State
  readonly set: (change: Partial<State>) => void
  readonly subscribe: (listener: () => void) => () => void
}

export const make = <State>(
  initial: State,
  work: { readonly begin: () => void; readonly end: () => void }
): External<State> => {
  const listeners = new Set<() => void>()
  let state = initial
  let isActive = false
  const leave = () => {
    if (!isActive || listeners.size > 0) return
    isActive = false
    work.end()
  }
  return {
    snapshot: () => state,
    initial: () => initial,
    set: (change) => {
      state = { ...state, ...change }
      for (const listener of listeners) listener()
    },
    subscribe: (listener) => {
      listeners.add(listener)
      if (!isActive) {
        isActive = true
        work.begin()
      }
      return () => {
        listeners.delete(listener)
        setTimeout(leave)
      }
    }
  }
}
