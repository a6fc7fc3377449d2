// The ids by which a client answers a question: they name run and interrupt, so that any node accepts the answer.

const separator = "."

/** The id of an approval. */
export const approvalIdOf = (runId: string, interruptId: string): string => `${runId}${separator}${interruptId}`

/** The id of a call that stands for a question, which the client answers with its output. */
export const callIdOf = (runId: string, interruptId: string): string =>
  `ask${separator}${runId}${separator}${interruptId}`

/** Run and interrupt of an approval or a call; nothing for ids of other origin. */
export const namedBy = (id: string): { readonly runId: string; readonly interruptId: string } | undefined => {
  const [runId = "", interruptId = "", ...more] = id.replace(/^ask\./u, "").split(separator)
  return runId === "" || interruptId === "" || more.length > 0 ? undefined : { runId, interruptId }
}
