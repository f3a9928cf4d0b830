import { hex } from "../shared/bytes.ts";
import { KeySchedule } from "../shared/key-schedule.ts";
import { stepAt } from "../shared/time-step.ts";
import { usage, EXIT, type Ui } from "./ui.ts";
import type { Manner, Session } from "./session.ts";
import { makePacket, makeRequest, type Wish } from "./spa-packet.ts";

/** Makes a packet for other means of sending it: the hex of one datagram. */
export function printPacket(session: Session, wish: Wish, manner: Manner, ui: Ui): number {
  const { name, info } = session.profile;
  if (session.keys.enrolling) {
    throw usage(
      `--print: ${name} has not ended its enrolment, and its packets open nothing yet`,
      `tock rotate ${name}`,
    );
  }
  const now = session.clock.now();
  const keys = new KeySchedule(session.keys.current, info.serverId).keys(stepAt(now));
  const { datagram } = makePacket(keys, makeRequest(wish, now, manner.replies), manner.form);
  ui.line(hex(datagram));
  ui.data({ ok: true, result: "printed", profile: name, form: manner.form, packet: hex(datagram) });
  return EXIT.ok;
}
