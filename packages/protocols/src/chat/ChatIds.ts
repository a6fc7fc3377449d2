// The ids by which a client answers a question: they name run and interrupt, so that any node accepts the answer.

const separator = "."

/** The id of a question. */
export const questionId = (runId: string, interruptId: string): string => `${runId}${separator}${interruptId}`

/** Run and interrupt of a question's id; nothing for ids of other origin. */
export const namedBy = (id: string): { readonly runId: string; readonly interruptId: string } | undefined => {
  const [runId = "", interruptId = "", ...more] = id.split(separator)
  return runId === "" || interruptId === "" || more.length > 0 ? undefined : { runId, interruptId }
}
