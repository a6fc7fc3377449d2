// Installs the chat libraries that judge the chat front ends in a browser (packages/protocols/test/front/Pages.trials.ts) into
// build/front-ends, once for this list: they are too large for the dependencies of the project.
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const packages = {
  "@ai-sdk/react": "4.0.177",
  "@assistant-ui/react": "0.15.22",
  "@assistant-ui/react-ai-sdk": "1.4.12",
  "ai": "7.0.173",
  "react": "19.3.1",
  "react-dom": "19.3.1"
}

const folder = fileURLToPath(new URL("../build/front-ends/", import.meta.url))
const wanted = JSON.stringify(packages)
const installed = `${folder}installed`

if (!existsSync(installed) || readFileSync(installed, "utf8") !== wanted) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}package.json`, JSON.stringify({ name: "front-ends", private: true, dependencies: packages }))
  execFileSync("npm", [
    "install",
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--loglevel=error"
  ], {
    cwd: folder,
    stdio: "inherit"
  })
  writeFileSync(installed, wanted)
}
