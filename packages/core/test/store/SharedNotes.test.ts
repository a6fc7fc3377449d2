import { SharedNotes } from "@fastagentic/core"
import { suite } from "@fastagentic/core/testing/contract/SharedNotesContract"
import { Effect, Layer } from "effect"

/** Nodes of one process share the memory. */
suite("memory", Effect.sync(() => Layer.succeed(SharedNotes.SharedNotes, SharedNotes.makeMemory())))
