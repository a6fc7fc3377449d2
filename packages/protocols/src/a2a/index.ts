export * as A2aCard from "./A2aCard.ts"
export * as A2aSchema from "./A2aSchema.ts"
export * as CardSigner from "./CardSigner.ts"
export * as PushSender from "./PushSender.ts"
