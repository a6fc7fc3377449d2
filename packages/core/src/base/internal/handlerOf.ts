// Reads the handler of a declaration from the context; the types of App.provide guarantee that it is there.
import { Context } from "effect"

/** The service behind a declaration, which the types of the app have made sure of. */
export const handlerOf = <A>(
  services: Context.Context<never>,
  declaration: { readonly handler?: Context.Key<never, A> } | object
): A =>
  // cast: declarations are erased here; every one of them carries its handler's key.
  Context.getUnsafe(services, (declaration as { readonly handler: Context.Key<never, A> }).handler)
