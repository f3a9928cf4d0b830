import type { Options } from "../args.ts";
import { defineCommand } from "../command.ts";
import { chosenVault, dropKeyOf, PROTECTION } from "../protection.ts";
import { Session } from "../session.ts";
import { EXIT, usage } from "../ui.ts";

const SAYS = {
  passphrase: "its secrets are sealed under the passphrase, which each use asks for",
  keyring: "its secrets are sealed under a key in the keyring",
  none: "its secrets are in the clear, in a file that only you can read",
} as const;

const OPTIONS = {
  ...PROTECTION,
  none: { help: "keep the secrets in the clear, in a file that only you can read" },
} as const satisfies Options;

export const command = defineCommand({
  name: "protect",
  summary: "seal a profile's secrets under a passphrase or the keyring, or unseal them",
  words: ["<profile>"],
  options: OPTIONS,
  notes: [`--passphrase-fd reads the old passphrase, if there is one, and then the new one, a line each.`],
  examples: [
    ["tock protect myserver --passphrase", "ask for a passphrase at each use"],
    ["tock protect myserver --none", "ask no more"],
  ],
  async run({ given, words }, ui) {
    const ways = [given.passphrase, given.keyring, given.none].filter((way) => way === true);
    if (ways.length !== 1)
      throw usage("expected one of --passphrase, --keyring and --none", "choose how to protect it");
    const session = await Session.open(words[0] ?? "", given);
    const { name, info } = session.profile;
    const { keys: before } = session.profile;
    await session.reseal(await chosenVault(name, info, given));
    if (before.kind === "sealed") await dropKeyOf(before.lock);
    const kind = given.passphrase ? "passphrase" : given.keyring ? "keyring" : "none";
    ui.success(`profile ${name}: ${SAYS[kind]}`);
    ui.data({ ok: true, profile: name, protection: kind });
    return EXIT.ok;
  },
});
