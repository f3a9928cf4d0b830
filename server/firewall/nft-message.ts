import { type Message, netfilterMessage } from "../sys/netlink-message.ts";

/** nf_tables over netlink: linux/netfilter/nf_tables.h, enum nf_tables_msg_types. */
const SUBSYSTEM = 10;
const COMMAND = {
  newTable: 0,
  getTable: 1,
  deleteTable: 2,
  getChain: 4,
  deleteChain: 5,
  getRule: 7,
  getSet: 10,
  newElement: 12,
  getElement: 13,
  deleteElement: 14,
  newGeneration: 15,
  getGeneration: 16,
};
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
/** NFPROTO_INET. */
export const INET = 1;
/** Event types that grants cause, and the one that ends every transaction; they say nothing about rules. */
export const GRANT_EVENTS: readonly number[] = [
  COMMAND.newElement,
  COMMAND.deleteElement,
  COMMAND.newGeneration,
].map((command) => (SUBSYSTEM << 8) | command);

export function nft(
  command: keyof typeof COMMAND,
  family: number,
  flags: number,
  ...attributes: Uint8Array[]
): Message {
  return netfilterMessage(SUBSYSTEM, COMMAND[command], { family, flags }, ...attributes);
}

/** Messages that take effect together or not at all. */
export function batch(...messages: Message[]): Message[] {
  const edge = (type: number): Message => ({
    ...netfilterMessage(0, 0, { family: 0, flags: 0, resource: SUBSYSTEM }),
    type,
  });
  return [edge(BATCH_BEGIN), ...messages, edge(BATCH_END)];
}
