// The signal of news about work elsewhere, which no agent can declare: callers cannot send it. Run.news receives it, and the
// runtime keeps its messages.
export const newsSignal = "news of remote work"
