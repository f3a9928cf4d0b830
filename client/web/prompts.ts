import type { Given, ServerView } from "./engine.ts";
import { LEAST_CHARACTERS } from "./passphrase.ts";
import { ask, type Field } from "./sheet.ts";

/** What a person must give before something can be done. */

export const CODE: Field = {
  name: "otp",
  label: "Code",
  hint: "Six digits, from your authenticator app.",
  type: "code",
  autocomplete: "one-time-code",
  check: (value) => (/^[0-9]{6}$/.test(value.replaceAll(" ", "")) ? undefined : "Six digits, please."),
};

const PASSPHRASE: Field = {
  name: "passphrase",
  label: "Passphrase",
  type: "password",
  autocomplete: "current-password",
  check: (value) => (value === "" ? "Type the passphrase." : undefined),
};

export const NEW_PASSPHRASE: Field = {
  ...PASSPHRASE,
  name: "new",
  autocomplete: "new-password",
  hint: `At least ${LEAST_CHARACTERS} characters. Nobody can recover it.`,
  check: (value) =>
    value.length >= LEAST_CHARACTERS ? undefined : `At least ${LEAST_CHARACTERS} characters.`,
};

/** Asks for the passphrase and the code that a use needs; undefined when the user goes away. */
export async function given(
  server: ServerView,
  needs: { code: boolean | "always" },
  verb: string,
): Promise<Given | undefined> {
  const fields = [
    ...(server.locked ? [PASSPHRASE] : []),
    ...(needs.code === "always" || (needs.code && server.secondFactor) ? [CODE] : []),
  ];
  if (fields.length === 0) return {};
  const values = await ask(`${verb} ${server.name}`, [], fields, verb);
  if (values === undefined) return undefined;
  const { otp, passphrase } = values;
  return { passphrase, otp: otp === undefined ? undefined : Number(otp.replaceAll(" ", "")) };
}
