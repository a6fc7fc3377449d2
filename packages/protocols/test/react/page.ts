// A page of the hooks, which the trials bundle: in strict mode, with a button for each action and the views as JSON.
import { ReactClient } from "@fastagentic/protocols/react"
import { createElement as h, StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { Desk } from "./desk.ts"

const query = new URLSearchParams(location.search)
const { useApprovals, useRun, useThread } = ReactClient.make(Desk, { url: query.get("url") ?? "" })

const button = (id: string, onClick: () => void) => h("button", { id, onClick, key: id }, id)
const shown = (id: string, view: unknown) => h("pre", { id, key: id }, JSON.stringify(view))

const Counter = () => {
  const { events, ...count } = useRun("count", { threadId: "page" })
  const thread = useThread("page")
  const words = Number(query.get("words") ?? "5")
  return [
    button("count", () => {
      count.start({ words })
      count.start({ words })
    }),
    button("cancel", () => count.cancel("enough")),
    button("reset", count.reset),
    shown("counted", { ...count, events: events.map(({ seq }) => seq), error: count.error?._tag }),
    shown("thread", thread.messages.map(({ content }) => content))
  ]
}

const Desks = () => {
  const refund = useRun("refund")
  const { answer, approvals } = useApprovals()
  const [open] = refund.interrupts
  const [approval] = approvals
  return [
    button("refund", () => refund.start({ amount: 50 })),
    button("deny", () => open === undefined ? undefined : refund.answer(open.id, { decision: "deny", reason: "no" })),
    button("approve", () => {
      if (approval === undefined) return
      answer(approval, { decision: "approve", value: true })
      answer(approval, { decision: "approve", value: true })
    }),
    shown("refunded", refund),
    shown("approvals", approvals.map(({ message }) => message))
  ]
}

const root = document.createElement("div")
document.body.append(root)
createRoot(root).render(
  h(StrictMode, null, [h(Counter, { key: "counter" }), h(Desks, { key: "desks" })])
)
