// The requirements of specification 1.0.1 for a server of A2A, each with its section and the tests that show it: `row:` names a
// row of requirements.ts, which runs over each binding and version; all others are a file of tests and a title in it.
export interface Must {
  readonly section: string
  readonly must: string
  readonly shownBy: ReadonlyArray<string>
}

const card = "a2a/A2aCard.test.ts: "
const wire = "a2a/A2aWire.test.ts: "
const rpc = "a2a/A2aRpc.test.ts: "
const push = "a2a/A2aPush.test.ts: "
const grpc = "a2a/A2aGrpc.test.ts: "
const artifacts = "a2a/A2aArtifacts.test.ts: "
const outside = "../../cli/test/A2aPush.test.ts: "

export const musts: ReadonlyArray<Must> = [
  // cards
  { section: "8.2", must: "serve the card at its well-known address", shownBy: [`${card}lists the agents of the app`] },
  { section: "5.2", must: "declare each binding and version", shownBy: [`${grpc}names it in both versions`] },
  {
    section: "8.6",
    must: "have an ETag and answer 304",
    shownBy: [`${card}is answered with 304 when its ETag matches`]
  },
  {
    section: "7.1",
    must: "name the public https address, never one of a request that is not trusted",
    shownBy: [`${card}has the public address of the server`]
  },
  {
    section: "7.3",
    must: "declare the schemes of credentials in the form of the specification",
    shownBy: [`${card}names the accepted credentials`, `${card}has the provider, documentation, titles and tags`]
  },
  { section: "3.1.11", must: "show the extended card to its caller alone", shownBy: ["row:card.extended"] },
  { section: "3.1.11", must: "authenticate who asks for the extended card", shownBy: ["row:door.unauthenticated"] },
  {
    section: "3.1.11",
    must: "refuse the extended card where none is declared",
    shownBy: [`${rpc}explains an invalid request`]
  },
  {
    section: "8.4",
    must: "sign the canonical card with alg and kid, by each of several keys",
    shownBy: ["a2a/CardSigner.test.ts: security schemes is verified by the official client"]
  },
  {
    section: "8.4",
    must: "verify the cards of others by keys that are trusted, with algorithms of public keys alone",
    shownBy: ["a2a/AgentRegistry.test.ts: is verified with the algorithms of keys alone"]
  },
  // callers
  { section: "7.3", must: "authenticate every request, with a challenge", shownBy: ["row:door.unauthenticated"] },
  { section: "13.1", must: "authorise each operation, and hide what is foreign", shownBy: ["row:task.isolation"] },
  {
    section: "4.3.3",
    must: "hide the push configurations of others",
    shownBy: [`${push}are kept, shown without secrets, hidden from others, and removed`]
  },
  // versions
  {
    section: "3.6.2",
    must: "read no version as 0.3, and the version of the header or the query",
    shownBy: [`${rpc}takes the version from the header, else from the query, else it is 0.3`]
  },
  {
    section: "3.6.2",
    must: "refuse versions that are not served",
    shownBy: [
      `${wire}refuse unknown paths, methods, versions and types in JSON`,
      `${grpc}is refused when its header names`
    ]
  },
  // validation
  { section: "5.7", must: "name invalid fields", shownBy: ["row:send.validation"] },
  { section: "5.7", must: "ignore unknown fields", shownBy: ["row:send.unknown-fields"] },
  {
    section: "5.5",
    must: "read ProtoJSON: numbers of enums, both spellings, null for what is not set",
    shownBy: [`${wire}is read with numbers of enums, both spellings`]
  },
  { section: "3.3.2", must: "find no unknown task", shownBy: ["row:task.unknown"] },
  { section: "3.3.2", must: "show nothing of a defect", shownBy: ["row:send.no-leak"] },
  // sending
  { section: "3.1.1", must: "answer with the task and its artifacts", shownBy: ["row:send.completed"] },
  { section: "3.1.1", must: "refuse messages to tasks that have ended", shownBy: ["row:send.ended"] },
  { section: "3.1.1", must: "refuse types that the skill does not take", shownBy: ["row:send.input-modes"] },
  { section: "3.2.2", must: "return at once where it is asked to", shownBy: ["row:send.immediately"] },
  { section: "3.2.2", must: "wait for the end or a question", shownBy: ["row:send.multi-turn", "row:send.parallel"] },
  { section: "3.2.2", must: "honour the accepted modes of output", shownBy: ["row:send.output-modes"] },
  { section: "3.2.4", must: "give the length of history that is asked for", shownBy: ["row:get.history-length"] },
  { section: "3.4.1", must: "keep the context of the client, and refuse another", shownBy: ["row:send.context"] },
  { section: "3.4.2", must: "make the ids of tasks", shownBy: ["row:send.ids"] },
  {
    section: "3.3.1",
    must: "know a message that comes again",
    shownBy: ["row:send.duplicate", "row:send.parallel-duplicates"]
  },
  { section: "4.1.4", must: "keep messages as they came", shownBy: ["row:send.history"] },
  {
    section: "4.1.3",
    must: "say why a task waits for a permission",
    shownBy: [`${wire}is AUTH_REQUIRED until it is, and its handler reads the message as it came`]
  },
  // streams
  { section: "3.1.2", must: "begin with the task, keep the order, close at the end", shownBy: ["row:stream"] },
  { section: "3.1.2", must: "refuse without a stream before the first event", shownBy: ["row:stream.refused"] },
  { section: "11.7", must: "close when input is required", shownBy: ["row:stream.asks"] },
  {
    section: "3.5.2",
    must: "give each follower the same order, and outlive one that leaves",
    shownBy: ["row:stream.subscribers"]
  },
  {
    section: "3.1.6",
    must: "join a task without gap or duplicate",
    shownBy: ["row:subscribe", "row:subscribe.resumed"]
  },
  { section: "3.1.6", must: "refuse a subscription to a task that has ended", shownBy: ["row:subscribe.ended"] },
  {
    section: "3.1.6",
    must: "follow a task on another node and after a restart",
    shownBy: ["../../cli/test/A2aKilled.trials.ts: is followed on another node to its end"]
  },
  // artifacts
  {
    section: "4.2.2",
    must: "append, replace and close artifacts so that a client has those of the task",
    shownBy: [`${artifacts}streams pieces that a client puts together to the same artifacts`]
  },
  {
    section: "3.1.1",
    must: "answer with a message alone where an agent does",
    shownBy: [`${artifacts}is a message alone`]
  },
  // lists
  {
    section: "3.1.4",
    must: "list by the last change, in pages without gap, from a time on, for the caller alone",
    shownBy: ["row:list"]
  },
  { section: "3.1.4", must: "list by state", shownBy: ["row:list.status"] },
  // cancelling
  { section: "3.1.5", must: "cancel, once more without effect, and not after the end", shownBy: ["row:cancel"] },
  // push
  {
    section: "4.3.3",
    must: "authenticate deliveries, in order",
    shownBy: [`${push}arrive in order, with credentials`]
  },
  { section: "4.3.3", must: "deliver at least once", shownBy: [`${push}are tried again until they are taken`] },
  {
    section: "13.2",
    must: "reach no internal network",
    shownBy: [`${outside}reach no address of an internal network`]
  },
  { section: "13.2", must: "follow no redirect", shownBy: [`${outside}follow no redirect`] },
  // bindings
  {
    section: "9.1",
    must: "refuse batches and invalid requests of JSON-RPC",
    shownBy: [`${rpc}explains an invalid request`]
  },
  {
    section: "11.4",
    must: "answer errors of HTTP in JSON",
    shownBy: [`${wire}refuse unknown paths, methods, versions and types in JSON`]
  },
  {
    section: "10.1",
    must: "have the messages and methods of the official protocol buffers",
    shownBy: [`${grpc}have the fields, enums and methods of the official ones`]
  }
]

/** Faults of other servers of A2A that were found, and the tests that show that this one does not have them. */
export const defects: ReadonlyArray<readonly [fault: string, shownBy: ReadonlyArray<string>]> = [
  ["security schemes of the card in an internal form", [`${card}names the accepted credentials`]],
  ["a cost of pieces that grows with their number", ["a2a/A2aPieces.test.ts: costs the same for each of many pieces"]],
  ["a message that comes twice makes two tasks", ["row:send.duplicate", "row:send.parallel-duplicates"]],
  ["parallel turns of one task run side by side, and are answered before their end", ["row:send.parallel"]],
  ["a cancel that waits for the agent", ["row:cancel"]],
  ["bodies of 100 KB are refused, and in HTML", [
    `${rpc}accepts JSON of up to 1 MiB by POST`,
    `${wire}refuse unknown paths, methods, versions and types in JSON`
  ]],
  ["push reaches loopback and files, follows redirects, and shows credentials", [
    `${outside}reach no address of an internal network`,
    `${outside}follow no redirect`,
    `${push}are kept, shown without secrets, hidden from others, and removed`
  ]],
  ["push is lost after one failure", [`${push}are tried again until they are taken`]],
  ["wrong codes of JSON-RPC, answers to notifications, and the id 0 that is lost", [
    `${rpc}explains an invalid request`,
    `${rpc}carries out a notification without an answer`,
    "a2a/A2aPieces.test.ts: keeps the id 0"
  ]],
  ["messages without parts, of unknown roles or of agents are taken", ["row:send.validation"]],
  ["text is read as true", ["a2a/A2aPieces.test.ts: reads no text as a boolean"]],
  ["the version in the query is ignored", [
    `${rpc}takes the version from the header, else from the query, else it is 0.3`
  ]],
  ["the extended card is shown without credentials", ["row:door.unauthenticated"]],
  ["lists that skip what changes between pages", ["row:list"]],
  ["failures of agents are shown word for word", ["row:send.no-leak"]],
  ["streams without heartbeats, ids or back pressure", [
    `${rpc}sends heartbeats`,
    "row:subscribe.resumed",
    `${grpc}slows a stream down whose client does not read`
  ]],
  ["tasks that work for ever after a restart", [
    "../../cli/test/A2aKilled.trials.ts: A killed process on SQLite notifies"
  ]]
]
