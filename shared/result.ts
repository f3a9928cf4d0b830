import type { TockError } from "./errors.ts";

/** The outcome of something that is expected to fail at times. Exceptions are left for bugs and I/O. */
export type Result<T, E = TockError> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/** The value, or the error thrown. For command-line code, where one handler at the top prints it. */
export function unwrap<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw result.error;
}
