import { importSecret } from "./device-key.ts";
import { sealBox, unlockBox } from "./passphrase.ts";
import type { Kept, Profile } from "./profile.ts";
import type { Keys } from "./session.ts";

/** Puts a new secret into its form: sealed where there is a passphrase. */
export function keeper(passphrase: string | undefined): Keys["keep"] {
  return async (secret) => {
    const key = await importSecret(secret);
    if (passphrase === undefined) return { kept: { kind: "key", key }, key };
    return { kept: { kind: "box", box: await sealBox(secret, passphrase) }, key };
  };
}

/** The keys of a profile; undefined for a wrong passphrase. A profile without one ignores it. */
export async function unlock(profile: Profile, passphrase: string | undefined): Promise<Keys | undefined> {
  const current = await keyOf(profile.current, passphrase);
  const next = profile.next && (await keyOf(profile.next.secret, passphrase));
  if (current === undefined || (profile.next !== undefined && next === undefined)) return undefined;
  const isBoxed = profile.current.kind === "box" || profile.next?.secret.kind === "box";
  return { current, next, keep: keeper(isBoxed ? passphrase : undefined) };
}

async function keyOf(kept: Kept, passphrase: string | undefined): Promise<CryptoKey | undefined> {
  if (kept.kind === "key") return kept.key;
  return passphrase === undefined ? undefined : await unlockBox(kept.box, passphrase);
}
