import type { Problem } from "./engine.ts";
import { longTime } from "./ring.ts";

/** What went wrong and what to do, for people. */
export interface Words {
  /** A few words, for the button. */
  readonly short: string;
  readonly title: string;
  readonly text: string;
  readonly hints: readonly string[];
}

export function wordsFor(problem: Problem): Words {
  switch (problem.code) {
    case "offline":
      return words("Offline", "This device is offline", "Connect to a network, then try again.");
    case "no-answer":
      return words(
        "No answer",
        "No answer",
        "The request was sent, and nothing came back. Possible reasons:",
        [
          "the network you are in blocks UDP: try another network, or knock over TCP",
          "the server is down, or its address has changed",
          "this device was removed, or is no longer allowed",
          "this device’s clock is off by more than five minutes",
          ...(problem.port < 1024 ? [`port ${problem.port}: browsers refuse some ports below 1024`] : []),
        ],
      );
    case "clock":
      return clockWords(problem.ahead);
    case "untaken":
      return untakenWords(problem);
    case "used-link":
      return words(
        "Link refused",
        "This link has been used before",
        "A link works once, and then it is worthless.",
        [
          "If you have used it yourself, this device may be enrolled already, or another one is.",
          "If not, somebody else did: tell the administrator, who can remove that device and make a new link.",
        ],
      );
    case "refused":
      return words("Refused", "The server says no", "Its policy does not allow this for you, here or now.", [
        "The server’s log names the rule. Ask its administrator.",
      ]);
    case "second-factor":
      return words(
        "Code wrong",
        "That code was not taken",
        "It is wrong, too old, or has been used before.",
        ["Wait for the next code of your authenticator app."],
      );
    case "expired":
      return words(
        "Expired",
        "This device may not come in any more",
        "It, its user or its secret has expired.",
        ["Ask the administrator for a new link."],
      );
    case "rotate-first":
      return words(
        "Not possible",
        "This device must agree on a new secret first",
        "That did not work just now.",
        ["Try again. If it stays so, ask the administrator for a new link."],
      );
    case "firewall":
      return words("Server error", "The server’s firewall failed", "Nothing was opened.", [
        "The server’s log says why. Tell its administrator.",
      ]);
    case "wrong-passphrase":
      return words("Wrong passphrase", "That is not the passphrase", "Nothing was sent. Try again.");
    case "damaged":
      return words(
        "Damaged",
        "What is stored for this server is damaged",
        "Remove it, and ask for a new link.",
      );
    case "insecure":
      return words(
        "Not safe",
        "This page came over plain http",
        "Whoever is on the way could read your secrets.",
        ["Open it over https, or save it and open the file."],
      );
    case "no-webrtc":
      return words(
        "No WebRTC",
        "WebRTC is turned off in this browser",
        "It is how this page sends its packets.",
        [
          "On an iPhone in Lockdown Mode, exclude this website from it, or use another device.",
          "Elsewhere a setting, a policy or an extension turns it off.",
        ],
      );
    case "no-storage":
      return words(
        "No storage",
        "This browser keeps nothing here",
        "Servers can only be stored in a normal window.",
        ["Leave private browsing, or allow this page to store data."],
      );
    case "other":
      return words("Failed", "That did not work", problem.message);
  }
}

function clockWords(ahead: number): Words {
  const direction = ahead > 0 ? "behind" : "ahead of";
  const off = longTime(Math.abs(ahead));
  return words(
    "Clock is off",
    `This device’s clock is about ${off} ${direction} the server’s`,
    "A request counts for half a minute around its time. Set this device’s clock, or go by the server’s.",
  );
}

function untakenWords({ names, port }: Extract<Problem, { code: "untaken" }>): Words {
  if (port < 1024) {
    const text = "Browsers refuse ports below 1024, so nothing left this device.";
    return words("Port not possible", `This browser refuses port ${port}`, text, [
      "The server must listen on a port from 1024 up: port = 62201 in its configuration.",
    ]);
  }
  if (names) {
    const text =
      "The link has only a host name, and this browser sends to IP addresses alone. Nothing left this device.";
    return words("Address not possible", "This browser needs an IP address", text, [
      "Ask for a link with the server’s IP address, or use Chrome or another Chromium.",
    ]);
  }
  const text = `It did not take the server’s address, or its port ${port}. Nothing left this device.`;
  return words("Not sent", "This browser did not send it", text, [
    "Is WebRTC turned off, by a setting, an extension or Lockdown Mode?",
    "A device without IPv6 cannot reach a server that has nothing else.",
  ]);
}

function words(short: string, title: string, text: string, hints: readonly string[] = []): Words {
  return { short, title, text, hints };
}
