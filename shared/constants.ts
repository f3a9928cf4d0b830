/** Protocol constants. What one implementation may choose differently stands in the configuration instead. */

/** RFC 6238 §4.1 X: seconds in a time step. */
export const STEP_SECONDS = 30;
export const STEP_MILLIS = STEP_SECONDS * 1000;

export const SERVER_ID_BYTES = 16;
export const SECRET_BYTES = 32;

/** SPA packet: tag || nonce || ciphertext || Poly1305 tag. */
export const TAG_BYTES = 8;
export const NONCE_BYTES = 24;
export const MAC_BYTES = 16;
export const REQUEST_BYTES = 96;
export const PACKET_BYTES = TAG_BYTES + NONCE_BYTES + REQUEST_BYTES + MAC_BYTES;

/** Reply: nonce || ciphertext || Poly1305 tag. Shorter than the request, so that it can amplify nothing. */
export const ANSWER_BYTES = 48;
export const REPLY_BYTES = NONCE_BYTES + ANSWER_BYTES + MAC_BYTES;

/** Steps accepted before and after the current one, unless configured. */
export const DEFAULT_SKEW = 1;
export const MAX_SKEW = 4;

export const DEFAULT_SPA_PORT = 62201;

export const KNOCK_DEFAULTS = { first: 10000, last: 32767, length: 4 } as const;
/** Ports that browsers refuse to connect to, within any range that a knock may use. */
export const KNOCK_BLOCKED: ReadonlySet<number> = new Set([10080]);
/** A range shorter than this would make sequences short enough to guess. */
export const KNOCK_MIN_SPAN = 1024;
