// Whether a text has the form of a run's id: a cursor of a list of runs is one, and no store is asked about anything else.

export const isRunId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u.test(text)
