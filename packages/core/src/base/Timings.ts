/**
 * The timings and limits of the runtime in one place: docs/timings.md is checked against this module.
 *
 * @since 0.1.0
 */

/** A node looks for due runs, lost runs and commits of other nodes this often. @category constants @since 0.1.0 */
export const pollMillis = 1_000

/** A node looks for its own unfinished runs and counts waiting ones this often. @category constants @since 0.1.0 */
export const reconcileMillis = 5_000

/** A node's lease on its runs in a shared store; it is renewed three times in that time. @category constants @since 0.1.0 */
export const leaseMillis = 3_000

/** A stream without events gets a heartbeat this often. @category constants @since 0.1.0 */
export const heartbeatMillis = 15_000

/** A client takes a stream that has been silent for this long as broken. @category constants @since 0.1.0 */
export const silenceMillis = 60_000

/** A stopping server gives its runs and connections this long. @category constants @since 0.1.0 */
export const graceMillis = 5_000

/** A run that is cancelled or at its deadline ends in the store after this long, also when its code cannot be interrupted. @category constants @since 0.1.0 */
export const stopMillis = 3_000

/** A client of a WebSocket that reads nothing for this long is disconnected. @category constants @since 0.1.0 */
export const socketDrainMillis = 30_000

/** A hook may take this long for its own work unless it declares another time. @category constants @since 0.1.0 */
export const hookMillis = 10_000

/** A side effect of a run is rolled back after this long unless it says another time. @category constants @since 0.1.0 */
export const sideEffectMillis = 1_000

/** An undo may take this long, each time that it is tried. @category constants @since 0.1.0 */
export const undoMillis = 30_000

/** An undo that fails is tried this many times. @category constants @since 0.1.0 */
export const undoTries = 5

/** The wait before an undo is tried again; it doubles each time. @category constants @since 0.1.0 */
export const undoPauseMillis = 200

/** A budget reservation expires this long after its process was lost. @category constants @since 0.1.0 */
export const budgetLeaseMillis = 60_000

/** Entries about changes are collected for this long before the audit log is written. @category constants @since 0.1.0 */
export const auditCollectMillis = 100

/** A node looks this often for entries that a lost node has left in the outbox for this long. @category constants @since 0.1.0 */
export const auditOutboxMillis = 10_000

/** Repeated reads of what belongs to somebody else are counted together for this long. @category constants @since 0.1.0 */
export const auditReadMillis = 600_000

/** A request to a store or a blob store fails after this long. @category constants @since 0.1.0 */
export const storeRequestMillis = 30_000

/** An MCP call waits this long for its run before it answers that the run continues. @category constants @since 0.1.0 */
export const mcpCallMillis = 20_000

/** An MCP call that is repeated finds the run that the first one has left for this long. @category constants @since 0.1.0 */
export const mcpRepeatMillis = 3_600_000

/** An MCP call becomes a task after this long, if its client knows tasks. @category constants @since 0.1.0 */
export const mcpTaskMillis = 5_000

/** An MCP elicitation waits this long for its answer. @category constants @since 0.1.0 */
export const elicitationMillis = 600_000

/** An MCP client may answer the questions of a round within this time. @category constants @since 0.1.0 */
export const requestStateMillis = 86_400_000

/** A run is held for repair when its node was lost this many times in a row before it committed a step. @category constants @since 0.1.0 */
export const lossesUntilHeld = 4

/** A run that could be held after its next loss is resumed alone for this long, or until it commits a step. @category constants @since 0.1.0 */
export const probationMillis = 30_000

/** A refusal of an input lists this many problems at most. @category constants @since 0.1.0 */
export const problemPlaces = 100

/** An input with more entries is refused at its first problem. @category constants @since 0.1.0 */
export const problemEntries = 10_000

/** JSON work over a text with more characters yields to the event loop between its steps. @category constants @since 0.1.0 */
export const jsonYieldChars = 65_536

/** One principal may have this many runs in memory of one node. @category constants @since 0.1.0 */
export const openRuns = 2_000

/** One principal may follow this many journals at a time on one node. @category constants @since 0.1.0 */
export const openStreams = 1_000

/** One principal may hold this many WebSockets open on one node. @category constants @since 0.1.0 */
export const openSockets = 100

/** Nodes share this many facts for one principal in the time that each is kept. @category constants @since 0.1.0 */
export const openNotes = 10_000

/** The body of a request has to arrive within this time. @category constants @since 0.1.0 */
export const bodyMillis = 30_000

/** The head of a request has to arrive within this time; a connection that has sent none is closed. @category constants @since 0.1.0 */
export const headMillis = 15_000

/** An answer has to be read within this time, and a second for each 32,000 bytes of it. @category constants @since 0.1.0 */
export const unreadMillis = 60_000

/** An input names or brings this many files at most. @category constants @since 0.1.0 */
export const inputFiles = 100

/** The credentials of open streams and WebSockets are looked at again this often. @category constants @since 0.1.0 */
export const credentialCheckMillis = 5_000

/** A start may be this far ahead. @category constants @since 0.1.0 */
export const longestDelayMillis = 31_536_000_000
