export * as OAuthTokens from "./OAuthTokens.ts"
export * as Oidc from "./Oidc.ts"
