export * as Models from "./Models.ts"
export * as ProviderModel from "./ProviderModel.ts"
