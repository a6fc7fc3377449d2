/**
 * Whom a client certificate is for.
 *
 * @since 0.1.0
 */

/**
 * A certificate that a proxy has checked. The names are those that the certificate authority has confirmed; the proxy
 * decides which authorities count.
 *
 * @category models
 * @since 0.1.0
 */
export interface Certificate {
  /** The whole subject, for the eye: its form is the proxy's. */
  readonly subject: string
  /** The one common name of the subject; Envoy tells it only when it forwards the certificate itself. */
  readonly commonName: string | undefined
  /** Such as `spiffe://acme.dev/ns/agents/sa/ci`. */
  readonly uris: ReadonlyArray<string>
  readonly dns: ReadonlyArray<string>
  readonly emails: ReadonlyArray<string>
}
