import * as BlobStore from "@fastagentic/core/store/BlobStore"
import { suite } from "../contract/BlobStoreContract.ts"

suite("BlobStore.layerMemory", BlobStore.layerMemory)
