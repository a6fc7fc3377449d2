import { Schema } from "effect"

export class NothingFound extends Schema.TaggedError<NothingFound>()("NothingFound", {
  topic: Schema.String
}, { httpApiStatus: 404 }) {}
