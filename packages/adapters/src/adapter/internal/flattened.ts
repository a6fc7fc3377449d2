// Joins what each event of a model's stream becomes into one stream, for the adapters that read such streams. An event costs
// no stream of its own, as it does in `Stream.flattenIterable`: there is one for each token.
import { type Array as Arr, Stream } from "effect"

export const flattened = <A, E, R>(self: Stream.Stream<ReadonlyArray<A>, E, R>): Stream.Stream<A, E, R> =>
  Stream.flattenArray(Stream.filter(self, (items): items is Arr.NonEmptyReadonlyArray<A> => items.length > 0))
