// The addresses of stored files: A2A parts and the chat front ends name files by them.
import { FileId } from "@fastagentic/core/run/Content"
import { Effect, Schema } from "effect"
import { PublicAddress, urlOf } from "./publicAddress.ts"

export interface Links {
  readonly urlOf: (fileId: string) => string
  /** The file that an address of this server names; nothing for other addresses. */
  readonly fileIdOf: (url: string) => string | undefined
}

/** The addresses of the files of the app at a public address. */
export const linksOf = (app: string): Links => {
  const start = `${app}/files/`
  return {
    urlOf: (fileId) => start + fileId,
    fileIdOf: (url) => url.startsWith(start) && isFileId(url.slice(start.length)) ? url.slice(start.length) : undefined
  }
}

const isFileId = Schema.is(FileId)

/** The addresses as the client of a request reaches them. */
export const links: Effect.Effect<Links> = Effect.map(PublicAddress, (address) => linksOf(urlOf(address)))
