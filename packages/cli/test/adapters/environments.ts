// Makes an environment for each framework of Python under build/, once for each release.
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { oneAtATime } from "../oneAtATime.ts"
import { type Found, output, python } from "./interpreters.ts"

/** The releases that are tested. */
const frameworks = {
  a2a: ["a2a-sdk[grpc]==1.3.0"],
  "pydantic-ai": ["pydantic-ai-slim==2.68.0"],
  langgraph: ["langgraph==1.2.24", "langchain==1.5.2"],
  crewai: ["crewai==1.15.30"],
  "mcp-clients": ["fastmcp==4.2.3", "mcp==2.3.0"]
} as const

type Framework = keyof typeof frameworks

const build = fileURLToPath(new URL("../../../../build/python/", import.meta.url))

/** An interpreter with a framework, in an environment that is made once for each release. */
export const pythonWith = (framework: Framework): Found =>
  oneAtATime(join(build, framework), () => environment(framework))

const environment = (framework: Framework): Found => {
  if ("reason" in python) return python
  const packages = frameworks[framework].join(" ")
  const folder = join(build, framework)
  const [path, marker] = [join(folder, "bin", "python"), join(folder, "packages.txt")]
  if (existsSync(marker) && readFileSync(marker, "utf8") === packages && output(path, "--version")) return { path }
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(build, { recursive: true })
  try {
    execFileSync(python.path, ["-m", "venv", folder], { stdio: "pipe" })
    execFileSync(path, ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...frameworks[framework]], {
      stdio: "pipe",
      timeout: 600_000
    })
  } catch (error) {
    return { reason: `${packages} cannot be installed: ${String(error).split("\n")[0]}` }
  }
  writeFileSync(marker, packages)
  return { path }
}
