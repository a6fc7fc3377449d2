/**
 * A client certificate that a proxy forwards.
 *
 * @since 0.1.0
 */

/**
 * A certificate that a proxy has verified. Its names are those that the certificate authority has confirmed; the proxy
 * decides which authorities are accepted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Certificate {
  /** The whole subject, for display: its format is the proxy's. */
  readonly subject: string
  /** The one common name of the subject; Envoy sends it only when it forwards the certificate itself. */
  readonly commonName: string | undefined
  /** URI names, such as `spiffe://acme.dev/ns/agents/sa/ci`. */
  readonly uris: ReadonlyArray<string>
  readonly dns: ReadonlyArray<string>
  readonly emails: ReadonlyArray<string>
}
