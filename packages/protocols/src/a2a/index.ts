export * as A2aCard from "./A2aCard.ts"
export * as A2aProtocol from "./A2aProtocol.ts"
export * as A2aSchema from "./A2aSchema.ts"
