/**
 * The abilities of an adapter, as data: `GET /agents` shows them, the conformance kit pins them, and a server does not start
 * when an app asks for more.
 *
 * @since 0.1.0
 */
export {
  /** @category models @since 0.1.0 */
  type Adapter,
  /** @category models @since 0.1.0 */
  type AdapterCapabilities,
  /** @category models @since 0.1.0 */
  type Reach
} from "@fastagentic/core/app/AdapterCapabilities"
