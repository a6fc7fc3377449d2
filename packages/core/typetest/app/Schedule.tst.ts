import { Agent, App, Schedule } from "@fastagentic/core"
import { Schema } from "effect"
import { expect, test } from "tstyche"

const Report = Agent.make("report", { description: "Reports", payload: { of: Schema.Date } })

test("a schedule has the payload of its agent", () => {
  expect(Schedule.make).type.toBeCallableWith("a", { agent: Report, cron: "* * * * *", payload: { of: new Date(0) } })
  expect(Schedule.make).type.not.toBeCallableWith("a", { agent: Report, cron: "* * * * *", payload: { of: "today" } })
  expect(Schedule.make).type.not.toBeCallableWith("a", { agent: Report, cron: "* * * * *", payload: {} })
})

test("an app with schedules needs no more handlers", () => {
  const schedules = [Schedule.make("a", { agent: Report, cron: "* * * * *", payload: { of: new Date(0) } })]
  const bare = App.make("acme", { version: "1", agents: [Report] })
  const timed = App.make("acme", { version: "1", agents: [Report], schedules })
  expect<App.Handlers<typeof timed>>().type.toBe<App.Handlers<typeof bare>>()
})
