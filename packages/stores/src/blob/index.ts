export * as FileBlobStore from "./FileBlobStore.ts"
export * as S3BlobStore from "./S3BlobStore.ts"
