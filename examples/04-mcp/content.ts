import { Content } from "fastagentic"

const bytesOf = (base64: string) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))

/** One red pixel. */
export const pixel = bytesOf(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
)

/** A WAVE file without samples. */
const silence = bytesOf("UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=")

export const image = Content.image({ bytes: pixel }, "image/png")
export const sound = Content.audio({ bytes: silence }, "audio/wav")

/** A text file, which clients get as an embedded resource. */
export const note = (text: string) =>
  Content.file({ bytes: new TextEncoder().encode(text) }, "text/plain", { name: "note.txt" })
