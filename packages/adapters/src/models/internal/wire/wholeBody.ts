// The limit of bodies that are read as a whole, also under the label of a stream; transport.ts limits streams.
import { AnswerTooLong } from "../transport.ts"

const mebibytes = 64

/** The most characters of a whole body. */
export const longestBody = mebibytes * 1_048_576

/** The text of a response, or a failure once it is longer than any answer. */
export const readText = async (response: Response): Promise<string> => {
  if (response.body === null) return ""
  const decoder = new TextDecoder()
  let text = ""
  // Leaving the loop cancels the body.
  for await (const piece of response.body) {
    text += decoder.decode(piece, { stream: true })
    if (text.length > longestBody) throw new AnswerTooLong(`the answer has more than ${mebibytes} MiB`, response.url)
  }
  return text + decoder.decode()
}
