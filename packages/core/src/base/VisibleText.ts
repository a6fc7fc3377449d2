/**
 * Text that people decide by, with the characters that they cannot see.
 *
 * @since 0.1.0
 */

const unseen = /[\p{Default_Ignorable_Code_Point}\p{Cf}\u2028\u2029]/gu

/**
 * The text with each invisible or direction-changing character as its escape, such as `\\u202e`. In JSON it stays the same
 * value.
 *
 * @category conversions
 * @since 0.1.0
 */
export const escapeUnseen = (text: string): string => text.replaceAll(unseen, escaped)

const escaped = (char: string) => {
  let out = ""
  for (let at = 0; at < char.length; at++) out += `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`
  return out
}
