export * as Python from "./Python.ts"
export * as PythonError from "./PythonError.ts"
