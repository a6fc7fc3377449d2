import * as BlobStore from "@fastagentic/core/store/BlobStore"
import { suite } from "@fastagentic/core/testing/contract/BlobStoreContract"

suite("BlobStore.layerMemory", BlobStore.layerMemory)
