export * as ClusterEngine from "./ClusterEngine.ts"
export * as ClusterStores from "./ClusterStores.ts"
