// Makes ids of calls fit the provider that gets them: a conversation may have begun with another one.
import { createHash } from "node:crypto"

/** The ids that a provider accepts. */
export const accepted = { mistral: /^[A-Za-z0-9]{9}$/u, others: /^[A-Za-z0-9_-]{1,64}$/u }

/** The same id, or one of nine letters and digits that stands for it in every request. */
export const fit = (id: string, pattern: RegExp): string =>
  pattern.test(id) ? id : createHash("sha256").update(id).digest("hex").slice(0, 9)
