// A client's calls about stored files. An upload sends the bytes as a form, so they are not written as text.
import { Effect } from "effect"
import * as Base64 from "effect/encoding/Base64"
import type { StoredFiles } from "./Client.ts"
import * as Transport from "./ClientTransport.ts"
import * as Schemas from "./Schemas.ts"

export const make = (transport: Transport.Transport): StoredFiles => ({
  upload: ({ bytes, mediaType, name }) =>
    Effect.suspend(() =>
      transport.send({
        method: "POST",
        path: "/files",
        ...sent({ bytes, mediaType, ...(name === undefined ? {} : { name }) })
      })
    ).pipe(
      Effect.flatMap((answered) => Transport.readOk(answered, Schemas.StoredFile)),
      // The same file is stored once, so that a repeat is safe.
      Effect.retry(transport.again)
    ),
  read: (fileId) =>
    transport.send({ method: "GET", path: `/files/${encodeURIComponent(fileId)}` }).pipe(
      Effect.flatMap(Transport.bytesOf),
      Effect.retry(transport.again)
    )
})

/** The parts of a form always have a name, so that a file without one is sent as JSON. */
const sent = (
  { bytes, mediaType, name }: Parameters<StoredFiles["upload"]>[0]
): Pick<Transport.Request, "body" | "form"> => {
  if (name === undefined) return { body: { bytes: Base64.encode(bytes), mediaType } }
  const form = new FormData()
  // A form takes memory that is not shared: the copy also belongs to this request alone.
  form.append("file", new File([Uint8Array.from(bytes)], name, { type: mediaType }))
  return { form }
}
